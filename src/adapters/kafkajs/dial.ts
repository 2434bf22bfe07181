import { connect as connectTcp, isIP } from 'node:net';
import type { Socket } from 'node:net';
import { connect as connectTls } from 'node:tls';

import type { BrokerAddress, KafkaTlsOptions } from './options.ts';

const KEEP_ALIVE_MS = 60_000;

/**
 * Begins a connection to a broker; with TLS its certificate is always verified.
 * @param onConnect called once, after the TLS handshake if there is one
 */
export function dial({ host, port }: BrokerAddress, tls: KafkaTlsOptions | null, onConnect: () => void): Socket {
  const socket = tls === null ? connectTcp({ host, port }, onConnect) : dialTls({ host, port }, tls, onConnect);
  socket.setNoDelay(true);
  socket.setKeepAlive(true, KEEP_ALIVE_MS);
  return socket;
}

function dialTls(
  { host, port }: BrokerAddress,
  { ca, cert, key, serverName }: KafkaTlsOptions,
  onConnect: () => void,
): Socket {
  return connectTls(
    {
      host,
      port,
      // An address is checked against the certificate's addresses; it must not be sent as a name (RFC 6066 §3).
      servername: serverName ?? (isIP(host) === 0 ? host : ''),
      ...(ca === undefined ? {} : { ca }),
      ...(cert === undefined ? {} : { cert }),
      ...(key === undefined ? {} : { key }),
      rejectUnauthorized: true,
      minVersion: 'TLSv1.2',
    },
    onConnect,
  );
}
