import { WireWriter } from '../../src/adapters/kafkajs/wire.ts';
import type { FakeBroker, FakeRequest } from './fake-broker.ts';

/** A member as a fake group coordinator knows it. */
interface FakeMember {
  readonly memberId: string;
  readonly metadata: Buffer;
}

/**
 * A consumer group with one real member (the source under test, always the leader) and others that are only said to be there.
 * Every answer can be overridden.
 */
export class FakeCoordinator {
  /** Node id that FindCoordinator answers. */
  nodeId = 1;
  generation = 0;
  memberId = '';
  /** Members beside the one under test, as the leader is told. */
  others: FakeMember[] = [];
  /** Error codes to answer next, by API; an empty list means success. */
  readonly errors = {
    FindCoordinator: [] as number[],
    JoinGroup: [] as number[],
    SyncGroup: [] as number[],
    Heartbeat: [] as number[],
    OffsetCommit: [] as number[],
    OffsetFetch: [] as number[],
  };
  /** Called before an answer to JoinGroup; the answer waits for it. */
  gather: () => Promise<void> = () => Promise.resolve();
  /** Heartbeats are not answered while this is set. */
  isSilent = false;
  /** Assignment that is given instead of the leader's. */
  assignment: Buffer | null = null;
  /** Committed offsets, by `topic/partition`. */
  readonly committed = new Map<string, { readonly offset: number; readonly metadata: string | null }>();
  /** Subscriptions, in the order in which they came. */
  readonly subscriptions: Buffer[] = [];
  readonly left: string[] = [];

  /** Makes brokers answer for this group. */
  serve(...brokers: readonly FakeBroker[]): this {
    for (const broker of brokers) {
      broker.on('FindCoordinator', () => {
        const error = this.errors.FindCoordinator.shift() ?? 0;
        return new WireWriter()
          .int32(0)
          .int16(error)
          .nullableText(null)
          .int32(this.nodeId)
          .text('127.0.0.1')
          .int32(1)
          .finish();
      });
      broker.on('JoinGroup', (request) => this.#join(request));
      broker.on('SyncGroup', (request) => this.#sync(request));
      broker.on('Heartbeat', () => (this.isSilent ? null : this.#plain(this.errors.Heartbeat.shift() ?? 0)));
      broker.on('LeaveGroup', ({ body }) => {
        body.text();
        body.array(4, () => {
          this.left.push(body.text());
          body.nullableText();
        });
        return new WireWriter().int32(0).int16(0).int32(0).finish();
      });
      broker.on('OffsetCommit', (request) => this.#commit(request));
      broker.on('OffsetFetch', (request) => this.#fetch(request));
    }
    return this;
  }

  #plain(errorCode: number): Buffer {
    return new WireWriter().int32(0).int16(errorCode).finish();
  }

  async #join({ body }: FakeRequest): Promise<Buffer> {
    body.text();
    body.int32();
    body.int32();
    const memberId = body.text();
    body.nullableText();
    body.text();
    const [protocol] = body.array(6, () => ({ name: body.text(), metadata: body.bytes() }));
    const error = this.errors.JoinGroup.shift() ?? 0;
    const writer = new WireWriter().int32(0);
    if (memberId === '' && error === 0) {
      this.memberId = `member-${++memberCount}`;
      return writer.int16(79).int32(-1).text('').text('').text(this.memberId).int32(0).finish();
    }
    if (error !== 0) return writer.int16(error).int32(-1).text('').text('').text(memberId).int32(0).finish();
    await this.gather();
    this.subscriptions.push(protocol!.metadata);
    const members = [{ memberId, metadata: protocol!.metadata }, ...this.others];
    writer
      .int16(0)
      .int32(++this.generation)
      .text(protocol!.name)
      .text(memberId)
      .text(memberId);
    return writer
      .array(members, (member) => void writer.text(member.memberId).nullableText(null).bytes(member.metadata))
      .finish();
  }

  #sync({ body }: FakeRequest): Buffer {
    body.text();
    body.int32();
    const memberId = body.text();
    body.nullableText();
    const assignments = body.array(6, () => [body.text(), body.bytes()] as const);
    const error = this.errors.SyncGroup.shift() ?? 0;
    const own = this.assignment ?? assignments.find(([id]) => id === memberId)?.[1] ?? Buffer.alloc(0);
    return new WireWriter()
      .int32(0)
      .int16(error)
      .bytes(error === 0 ? own : Buffer.alloc(0))
      .finish();
  }

  #commit({ body }: FakeRequest): Buffer {
    body.text();
    const generation = body.int32();
    body.text();
    const [[topic, partition, offset, metadata] = []] = body
      .array(6, () => {
        const name = body.text();
        return body.array(14, () => [name, body.int32(), body.int64(), body.text()] as const);
      })
      .flat();
    const error = this.errors.OffsetCommit.shift() ?? (generation === this.generation ? 0 : 22);
    if (error === 0) this.committed.set(`${topic}/${partition}`, { offset: offset!, metadata: metadata! });
    return new WireWriter().int32(0).int32(1).text(topic!).int32(1).int32(partition!).int16(error).finish();
  }

  #fetch({ body }: FakeRequest): Buffer {
    body.text();
    const [[topic, partition] = []] = body
      .array(6, () => {
        const name = body.text();
        return body.array(4, () => [name, body.int32()] as const);
      })
      .flat();
    const { offset, metadata } = this.committed.get(`${topic}/${partition}`) ?? { offset: -1, metadata: '' };
    const writer = new WireWriter()
      .int32(0)
      .int32(1)
      .text(topic!)
      .int32(1)
      .int32(partition!)
      .int64(offset)
      .nullableText(metadata);
    return writer
      .int16(0)
      .int16(this.errors.OffsetFetch.shift() ?? 0)
      .finish();
  }
}

let memberCount = 0;
