/**
 * Words for people, numbers for BullMQ, where a lower number goes first and 0 (or none) jumps the whole line and starves it.
 */
export const priorities = { high: 1, normal: 10, low: 100 } as const;
