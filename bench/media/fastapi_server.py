# fastapi_server.py PORT: the pattern of the FastAPI voice accelerators at its best options: receive_text, json.loads, base64, send_text.
import base64
import json
import sys

import uvicorn
from fastapi import FastAPI, WebSocket, WebSocketDisconnect

app = FastAPI()


@app.websocket("/acs")
async def acs(ws: WebSocket):
    await ws.accept()
    try:
        while True:
            message = json.loads(await ws.receive_text())
            pcm = base64.b64decode(message["audioData"]["data"])
            data = base64.b64encode(pcm).decode()
            await ws.send_text(json.dumps({"kind": "AudioData", "audioData": {"data": data}}))
    except WebSocketDisconnect:
        pass


uvicorn.run(
    app,
    host="127.0.0.1",
    port=int(sys.argv[1]),
    loop="uvloop",
    http="httptools",
    ws="websockets",
    ws_per_message_deflate=False,
    log_level="error",
    backlog=8192,
)
