import { v7 } from 'uuid'
import type { EpochMs } from './time.ts'

declare const brand: unique symbol
/** A string that only its own kind of id may stand for. */
export type Branded<T, Name extends string> = T & { readonly [brand]: Name }

export type ExecutionId = Branded<string, 'ExecutionId'>
export type RunId = Branded<string, 'RunId'>
export type CommitId = Branded<string, 'CommitId'>
export type LoggedModelId = Branded<string, 'LoggedModelId'>
export type PredictionId = Branded<string, 'PredictionId'>

/** A time-ordered UUID (version 7), so that keys sort by age. */
export const newId = (now: EpochMs): string => v7({ msecs: now })

/** The same as 32 hex digits: the form of MLflow's run ids. */
export const newHexId = (now: EpochMs): string => newId(now).replaceAll('-', '')

/** Ids of one moment that sort by their index. */
export const orderedHexId = (now: EpochMs, index: number): string => v7({ msecs: now, seq: index }).replaceAll('-', '')
