/** A fault of the protocol, planted in the compiled code: a simulation that does not find it is not worth much. */
export interface PlantedBug {
  readonly name: string;
  readonly edits: readonly {
    /** Below `dist/src/`. */
    readonly file: string;
    /** Text that the file holds exactly once. */
    readonly find: string;
    readonly replace: string;
  }[];
}

/** What could go wrong, a line of code or two at a time. */
export const PLANTED_BUGS: readonly PlantedBug[] = [
  {
    name: 'what answers the request of an earlier session is taken in, and offsets that nobody speaks of count as compacted',
    edits: [
      {
        file: 'ingest/partition-runner.js',
        find: 'if (session === null || session !== this.#asking)',
        replace: 'if (session === null)',
      },
      { file: 'ingest/batch-builder.js', find: 'if (accounted < to)', replace: 'if (false)' },
      { file: 'ingest/batch-builder.js', find: 'if (start !== accounted)', replace: 'if (false)' },
    ],
  },
  {
    name: 'a slot that exists is taken for our own',
    edits: [{ file: 'ledger/slot.js', find: 'found === null || found.equals(bytes)', replace: 'true' }],
  },
  {
    name: 'a slot that exists is taken for another’s, though the bytes are ours',
    edits: [{ file: 'ledger/slot.js', find: 'found === null || found.equals(bytes)', replace: 'found === null' }],
  },
  {
    name: 'a create whose answer is lost is taken for done',
    edits: [{ file: 'ledger/objects.js', find: 'cause = error;', replace: 'return null;' }],
  },
  {
    name: 'an object is not stored before the entry that names it',
    edits: [
      {
        file: 'ingest/commit-batch.js',
        find: 'putContent(store, evidence.key, judged.evidence, clock, signal)',
        replace: 'undefined',
      },
    ],
  },
  {
    name: 'a batch is committed whatever became of the one before it',
    edits: [
      { file: 'ingest/partition-runner.js', find: '(await turn.before)', replace: 'true' },
      { file: 'ingest/partition-runner.js', find: 'session.writer.head.next !== fields.start', replace: 'false' },
    ],
  },
  {
    name: 'what is delivered again is read again',
    edits: [{ file: 'ingest/partition.js', find: 'chunk.offsets[from] < next', replace: 'false' }],
  },
  {
    name: 'the ref moves while it is on hold',
    edits: [
      { file: 'publish/publisher.js', find: 'if (onHold)', replace: 'if (false)' },
      { file: 'ledger/control-rules.js', find: 'heldAt === undefined', replace: 'true' },
    ],
  },
  {
    name: 'a publish does not see what was decided while it was made',
    edits: [
      {
        file: 'publish/publisher.js',
        find: 'if (nextSeq(newest) === nextSeq(head))',
        replace: 'if (true)',
      },
    ],
  },
  {
    name: 'a condemned batch stays in the dataset',
    edits: [
      {
        file: 'publish/publisher.js',
        find: 'if (current.standing !== standing)',
        replace: "if (standing !== 'condemned')",
      },
    ],
  },
  {
    name: 'an alert is noted as delivered before it is',
    edits: [
      {
        file: 'respond/alerts.js',
        find: 'await channel.deliver({ ...alert, summary: asOneLine(alert.summary) }, signal);\n        await this.#writeReceipt(alert.id, channel.name);',
        replace:
          'await this.#writeReceipt(alert.id, channel.name); await channel.deliver({ ...alert, summary: asOneLine(alert.summary) }, signal);',
      },
    ],
  },
  {
    name: 'alerts that the queue has lost are not made again',
    edits: [{ file: 'respond/alerts.js', find: 'await this.reconcile([]);', replace: 'return;' }],
  },
  {
    name: 'a claim is not looked at again once it was made',
    edits: [{ file: 'ledger/partition-writer.js', find: 'while (!this.claimed)', replace: 'if (!this.claimed)' }],
  },
  {
    name: 'a suspect batch is published',
    edits: [
      {
        file: 'publish/plan.js',
        find: "standing === 'clean'",
        replace: "standing === 'suspect' || standing === 'clean'",
      },
    ],
  },
  {
    name: 'a released batch is not copied to where readers look',
    edits: [
      { file: 'publish/batch-objects.js', find: 'await putContent(store, target, bytes, clock, signal);', replace: '' },
    ],
  },
  {
    name: 'the digest of what is read is not looked at',
    edits: [{ file: 'ledger/objects.js', find: 'if (actual === sha256)', replace: 'if (true)' }],
  },
  {
    name: 'the verifier does not look at states',
    edits: [
      {
        file: 'respond/verify/control-log.js',
        find: 'await this.#findings.object(layout.state(entry.state), entry.state, BYTES_MAX.state);',
        replace: '',
      },
    ],
  },
  {
    name: 'a gap goes further than what was deleted',
    edits: [
      {
        file: 'ingest/partition.js',
        find: "end: earliest, reason: 'retention'",
        replace: "end: earliest + 1, reason: 'retention'",
      },
    ],
  },
  {
    name: 'of a partition that has stopped nobody is told',
    edits: [
      {
        file: 'respond/alerts.js',
        find: "cause.about === 'halt' && cause.code === 'RULE'",
        replace: "cause.about === 'halt'",
      },
      { file: 'respond/alert-causes.js', find: "if (code !== 'RULE')", replace: 'if (false)' },
    ],
  },
  {
    name: 'of what people did nobody is told',
    edits: [{ file: 'respond/owed-acts.js', find: '(await isTold(this.#ledger, verified))', replace: 'false' }],
  },
  {
    name: 'the last clean snapshot may hold what was condemned',
    edits: [{ file: 'respond/clean-snapshots.js', find: 'if (await this.#isMarked(page))', replace: 'if (false)' }],
  },
  {
    name: 'a rollback goes to what no longer is an ancestor',
    edits: [
      {
        file: 'respond/rollback-target.js',
        find: 'if (found.ref === this.#ref && found.isInLine)',
        replace: 'if (true)',
      },
    ],
  },
  {
    name: 'a batch that was called clean by the last baseline is published under the next',
    edits: [
      {
        file: 'publish/reconsider.js',
        find: 'mine.filter((batch) => isStale(batch, [baseline, base.baselines[topic]]))',
        replace: '[]',
      },
    ],
  },
  {
    name: 'a baseline judges before anyone has approved it',
    edits: [
      {
        file: 'ingest/topics.js',
        find: 'head.state.baselines[topic]',
        replace: '(head.state.candidates[topic] ?? head.state.baselines[topic])',
      },
    ],
  },
  {
    name: 'a log begins at the end of its partition',
    edits: [
      {
        file: 'adapters/memory/source.js',
        find: "start.at === 'earliest' ? earliest : latest",
        replace: 'latest',
      },
    ],
  },
  {
    name: 'the store lets two creates of one key win',
    edits: [{ file: '../test/sim/store.js', find: 'if (this.#objects.has(key))', replace: 'if (false)' }],
  },
  {
    name: 'a batch is not decoded back, and its encoder errs',
    edits: [
      {
        file: 'ledger/data/encode.js',
        find: 'assertSameLeaves(content, [rows, dead].filter((part) => part !== null), leaves, unfaithful);',
        replace: '',
      },
      {
        file: 'ledger/data/arrow-columns.js',
        find: 'raw.timestamps.subarray(0, count)',
        replace: 'raw.timestamps.subarray(0, count).map((ms) => ms + 1n)',
      },
    ],
  },
  {
    name: 'a release outlives the rollback that left its batch behind',
    edits: [
      {
        file: 'ledger/control-state.js',
        find: '...withUnjudged(state, act.ref),\n                ...openCases(state),',
        replace: '...withUnjudged(state, act.ref),',
      },
    ],
  },
  {
    name: 'who is fenced goes on with what it has',
    edits: [
      {
        file: 'ingest/partition-runner.js',
        find: 'if (error instanceof ConflictError)\n                this.#fenced(session, error);',
        replace: 'if (error instanceof ConflictError) ;',
      },
    ],
  },
  {
    name: 'hints alone say what is new',
    edits: [
      {
        file: 'publish/news.js',
        find: 'const full = this.#lastFullWalkMs === null ||',
        replace: 'const full = this.#lastFullWalkMs === null &&',
      },
    ],
  },
];
