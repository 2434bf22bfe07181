import { describeLifeOnKafka } from '../support/crash/life-on-kafka.ts';

describeLifeOnKafka(() => true);
