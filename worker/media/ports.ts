import type { MediaCloseReason } from '../../contract/reasons.ts';

/** What the caller does in one 20 ms frame, by the turn detector. `start` and `end` mark the first and last frame of an utterance. */
export type Activity = 'silence' | 'start' | 'speech' | 'end';

/** The outgoing side of one WebSocket; a thin cover over uWebSockets.js or a relay. All methods are safe after the socket has closed. */
export interface MediaSocket {
  /** 1 sent, 0 queued behind backpressure, 2 dropped. The bytes may be reused as soon as this returns. */
  send(message: Uint8Array | string): number;
  bufferedBytes(): number;
  /** Runs `send`, a function that only calls `send` of this socket, and puts what it sent into one write; without it each message is its own. */
  cork?(send: () => void): void;
  end(code: number, reason: string): void;
}

/** What a media stream tells the call that owns it. Called synchronously from the socket's handler or the pacing tick: must not block. */
export interface MediaListener {
  onMetadata(metadata: { sampleRateHertz: number; subscriptionId: string }): void;
  /**
   * One 20 ms frame of the caller's audio; `pcm` is valid only during the call. Every frame comes once and in order. With turn detection
   * the newest frames of a silence are held back (up to 300 ms) until it is known that no speech follows: a `start` is then the oldest
   * frame of the pre-roll, 200 ms before the first speech, and the frames up to now follow at once as `speech`. Without it each frame comes
   * as it arrives, and always as `silence`, since nobody here has judged it.
   */
  onFrame(pcm: Int16Array, activity: Activity): void;
  onDtmf(tone: string): void;
  /** The first frame of this answer went out. */
  onPlaybackStarted(answerId: string): void;
  /** The last frame of this answer has been played, or the answer was stopped after `playedMs`. */
  onPlaybackEnded(answerId: string, playedMs: number, stopped: boolean): void;
  /**
   * The stream cannot go on with this socket; the call counts the reason and the stream closes the socket. Not called for what the call
   * asked for itself: `close`, and `superseded` by `attach`.
   */
  onMustClose(reason: MediaCloseReason): void;
}

/** The media side of one call, kept across sockets: ACS may dial again and the next socket goes on where the last one broke. */
export interface MediaStream {
  /** Takes a new socket; an older one is ended as `superseded`. */
  attach(socket: MediaSocket): void;
  /** The given socket has closed by itself; playback pauses until the next `attach`. */
  detach(socket: MediaSocket): void;
  readonly attached: boolean;
  /** One message of the attached socket; the buffer is valid only during the call. */
  receive(message: ArrayBuffer): void;
  /**
   * Queues audio of an answer (copied at once); may come much faster than real time. Answers are heard in the order of their first audio;
   * a new id completes the answer before it, and audio for an id that was stopped, completed or has ended is dropped and counted.
   */
  play(answerId: string, pcm: Int16Array): void;
  /** No more audio comes for this answer. One that never had any ends as well, in its turn. */
  endOfAnswer(answerId: string): void;
  /** Barge-in: drops what is queued, sends StopAudio; no audio frame follows until the next `play` of a new answer. */
  stopPlayback(): void;
  readonly playing: boolean;
  /** Ends the stream and its socket for a reason of the closed list. */
  close(reason: MediaCloseReason): void;
}
