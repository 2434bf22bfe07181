/** The public library: verify a pipeline, ask the gate, pull a snapshot, and check single proofs from your own code. */
export { DiskStore } from './adapters/disk/store.ts';
export { parquetFormat } from './adapters/parquet/format.ts';
export { S3Store, type S3StoreOptions } from './adapters/s3/store.ts';
export { systemClock } from './adapters/system/clock.ts';
export * from './errors.ts';
export { recomputeRoot } from './ledger/merkle/batch-root.ts';
export { inclusionProof, rootFromInclusionProof } from './ledger/merkle/proof.ts';
export { leafHash, merkleRoot, nodeHash } from './ledger/merkle/tree.ts';
export { TrustRoot } from './ledger/trust.ts';
export type { ObjectStore } from './ports/object-store.ts';
export { LeafHasher } from './record/leaf.ts';
export { gate, type GateReport } from './respond/gate.ts';
export { openLedger, type LedgerContext } from './respond/ledger-context.ts';
export { listFiles, pull, type PullReport } from './respond/pull.ts';
export { resolveSnapshot } from './respond/refs.ts';
export { verifyPipeline, type VerifyReport } from './respond/verify.ts';
