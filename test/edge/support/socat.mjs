#!/usr/bin/env node
// What renew.sh uses of socat, for machines that have none: `socat -t <seconds> - UNIX-CONNECT:<path>` joins its own input and output with a socket.
import { connect } from 'node:net';

const path = process.argv.at(-1)?.replace(/^UNIX-CONNECT:/, '') ?? '';
const socket = connect(path);
socket.on('error', (error) => {
  process.stderr.write(`${error.message}\n`);
  process.exitCode = 1;
});
process.stdin.pipe(socket).pipe(process.stdout);
