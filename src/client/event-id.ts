// An event's own id, by which the server knows it again for ever: made of what the event is, so that whoever sends the same once more
// (another tab, the next page, a second click) sends the same event. It must stay the same over releases: pages keep events unsent.

/**
 * UUID version 5 (RFC 9562) of the request and all that makes the event what it is.
 * @param userId ids are unique over all users, and two may choose the same request id
 * @param event JSON; the order of its keys does not matter
 */
export function eventIdOf(userId: string | undefined, event: object): string {
  return uuid5(JSON.stringify([userId ?? null, event], sorted));
}

const sorted = (_key: string, value: unknown): unknown =>
  typeof value === 'object' && value !== null && !Array.isArray(value)
    ? Object.fromEntries(Object.entries(value).toSorted(([one], [other]) => (one < other ? -1 : 1)))
    : value;

/** Of Synap's events: a random UUID, chosen once. */
const namespace = '5d3a9c62-1f0b-4c1e-9a47-2f6be0c7d815';

function uuid5(name: string): string {
  const space = namespace.replaceAll('-', '').match(/../g) ?? [];
  const text = new TextEncoder().encode(name);
  const words = sha1(new Uint8Array([...space.map((hex) => Number.parseInt(hex, 16)), ...text]));
  const hex = words.map((word) => word.toString(16).padStart(8, '0')).join('');
  const variant = ((Number.parseInt(hex.charAt(16), 16) & 3) | 8).toString(16);
  return [
    hex.slice(0, 8),
    hex.slice(8, 12),
    `5${hex.slice(13, 16)}`,
    variant + hex.slice(17, 20),
    hex.slice(20, 32),
  ].join('-');
}

const rotate = (word: number, by: number): number => (word << by) | (word >>> (32 - by));

/** FIPS 180-4. `crypto.subtle` is missing on pages that came over plain http. @returns five words */
function sha1(message: Uint8Array): number[] {
  const blocks = Math.ceil((message.length + 9) / 64);
  const bytes = new Uint8Array(blocks * 64);
  bytes.set(message);
  bytes[message.length] = 0x80;
  const view = new DataView(bytes.buffer);
  view.setUint32(bytes.length - 4, message.length * 8);
  const state = new Int32Array([0x67452301, 0xefcdab89, 0x98badcfe, 0x10325476, 0xc3d2e1f0]);
  const words = new Int32Array(80);
  for (let block = 0; block < bytes.length; block += 64) {
    for (let at = 0; at < 80; at += 1) words[at] = at < 16 ? view.getInt32(block + at * 4) : expanded(words, at);
    mix(state, words);
  }
  return Array.from(state, (word) => word >>> 0);
}

const expanded = (words: Int32Array, at: number): number =>
  rotate(
    [3, 8, 14, 16].reduce((mixed, back) => mixed ^ (words[at - back] ?? 0), 0),
    1,
  );

function mix(state: Int32Array, words: Int32Array): void {
  let [a, b, c, d, e] = state as unknown as [number, number, number, number, number];
  for (const [at, word] of words.entries()) {
    const [chosen, constant] =
      at < 20
        ? [(b & c) | (~b & d), 0x5a827999]
        : at < 40
          ? [b ^ c ^ d, 0x6ed9eba1]
          : at < 60
            ? [(b & c) | (b & d) | (c & d), 0x8f1bbcdc]
            : [b ^ c ^ d, 0xca62c1d6];
    const next = (rotate(a, 5) + chosen + e + word + constant) | 0;
    [e, d, c, b, a] = [d, c, rotate(b, 30), a, next];
  }
  const mixed = [a, b, c, d, e];
  state.set(state.map((word, at) => word + (mixed[at] ?? 0)));
}
