/** What each of the stack's processes is told when it starts; the api and the socket server answer the port they listen on. */
export interface StartQuestion {
  readonly redisUrl: string;
  readonly jwtSecret: string;
}

export const queueName = 'bench.echo.requested';

/** What lies in the queue. */
export interface EchoJob {
  readonly eventId: string;
  readonly userId: string;
  readonly requestId: string;
  readonly data: { readonly n: number; readonly at: number };
}
