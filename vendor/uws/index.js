'use strict';
const major = process.versions.node.split('.')[0];
const name = `@uwsjs/${process.platform}-${process.arch}-${major}`;

try {
  module.exports = require(name);
} catch (cause) {
  const glibc = process.report?.getReport?.().header?.glibcVersionRuntime ?? 'unknown';
  throw new Error(
    `uWebSockets.js: no usable binary for Node ${process.versions.node} on ${process.platform}-${process.arch} (glibc ${glibc}; ` +
      `${name} did not load). Run with Node 22 (glibc >= 2.27) or Node 24 (glibc >= 2.38), or take the official build: ` +
      `npm pkg set 'dependencies[uWebSockets.js]=github:uNetworking/uWebSockets.js#v20.69.0' && npm install`,
    { cause },
  );
}
