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
    name: 'an alert is noted as delivered before it is',
    edits: [
      {
        file: 'respond/alerts.js',
        find: 'await channel.deliver({ ...alert, summary: asOneLine(alert.summary) }, signal);',
        replace: '',
      },
      {
        file: 'respond/alerts.js',
        find: '// The id of the job itself may be forged, to pass one alert off as another.',
        replace: 'await channel.deliver({ ...alert, summary: asOneLine(alert.summary) }, signal);',
      },
    ],
  },
  {
    name: 'alerts that the queue has lost are not made again',
    edits: [{ file: 'respond/alerts.js', find: 'await this.reconcile([]);', replace: 'return;' }],
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
];
