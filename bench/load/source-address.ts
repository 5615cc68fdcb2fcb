const perAddress = 2_000;

/**
 * The loopback address that a client of this process connects from. An address of its own for each process and each few thousand clients:
 * a closed connection holds its port for a minute, and the system looks for a free one the longer the fewer there are, so clients
 * would wait for those of the round before.
 */
export function sourceAddress(index: number): string {
  const { pid } = process;
  return `127.${1 + (Math.floor(pid / 250) % 250)}.${1 + (pid % 250)}.${1 + Math.floor(index / perAddress)}`;
}
