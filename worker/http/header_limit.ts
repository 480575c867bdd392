/**
 * uWebSockets.js reads this once, when its binary is loaded: hence a module of its own, imported before it. Its default of 4 KiB for all
 * headers is too near to a JWT, a call token in the URL, and what an edge adds.
 */
process.env.UWS_HTTP_MAX_HEADERS_SIZE ??= String(16 * 1024);
