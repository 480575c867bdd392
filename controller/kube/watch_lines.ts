import { TextDecoder } from 'node:util';

/**
 * JSON values, one a line, out of a stream of bytes. A last line without an end is the middle of an object that was cut off: it is not
 * given, since its successor will be asked for again from the last whole version. Throws SyntaxError for a line that is no JSON, and
 * RangeError for one above `maxBytes`.
 */
export async function* jsonLines(stream: AsyncIterable<Uint8Array>, maxBytes: number): AsyncGenerator<unknown> {
  const decoder = new TextDecoder();
  let rest = '';
  let restBytes = 0;
  for await (const chunk of stream) {
    restBytes += chunk.length;
    const searched = rest.length;
    rest += decoder.decode(chunk, { stream: true });
    let from = 0;
    for (let end = rest.indexOf('\n', searched); end >= 0; end = rest.indexOf('\n', from)) {
      const line = rest.slice(from, end);
      from = end + 1;
      if (line.trim() !== '') yield JSON.parse(line);
    }
    if (from > 0) {
      rest = rest.slice(from);
      restBytes = Buffer.byteLength(rest);
    }
    if (restBytes > maxBytes) throw new RangeError(`a line of the stream is above ${maxBytes} bytes`);
  }
}
