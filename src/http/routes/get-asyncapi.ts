import type { Request } from 'express';
import { createAsyncApi, type ServerPlace } from '../../realtime/asyncapi.js';
import type { Endpoint } from '../endpoint.js';

/** The realtime contract, for people and for generators of clients. */
export function getAsyncApi(version: string): Endpoint {
  const documentAt = createAsyncApi(version);
  return {
    method: 'get',
    path: '/asyncapi.json',
    access: 'anybody',
    handle(req, res) {
      res.json(documentAt(placeOf(req)));
    },
  };
}

/** A name or an address, and maybe a port. */
const hostForm = /^(?:[\w.-]{1,253}|\[[\da-f:.]{2,45}\])(?::\d{1,5})?$/i;

/** By the name that the client has asked for; of a proxy's word, as much as TRUST_PROXY says. */
function placeOf(req: Request): ServerPlace {
  // Express' types do not say that a client of HTTP/1.0 may send no Host.
  const host = (req.host as string | undefined) ?? '';
  return {
    host: hostForm.test(host) ? host : `localhost:${req.socket.localPort}`,
    isSecure: req.secure,
  };
}
