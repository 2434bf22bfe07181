/** Payload type of an in-toto statement. Source: in-toto attestation framework, spec/v1/envelope.md. */
export const IN_TOTO_PAYLOAD_TYPE = 'application/vnd.in-toto+json';

/**
 * The bytes a DSSE signature covers: `DSSEv1 <type length> <type> <payload length> <payload>`, lengths in bytes.
 * Signing the type with the payload is what keeps one kind of document from being passed off as another.
 * Source: secure-systems-lab/dsse protocol.md, PAE.
 */
export function preAuthEncoding(payloadType: string, payload: Uint8Array): Buffer {
  const head = `DSSEv1 ${Buffer.byteLength(payloadType, 'utf8')} ${payloadType} ${payload.length} `;
  return Buffer.concat([Buffer.from(head, 'utf8'), payload]);
}
