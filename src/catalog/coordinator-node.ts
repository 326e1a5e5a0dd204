import { nodeId } from './ids.ts';

/** The coordinator database takes part in transactions and tasks under this id; real nodes count from 1. */
export const coordinatorNodeId = nodeId(0);
