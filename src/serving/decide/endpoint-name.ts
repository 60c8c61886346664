import type { Place } from '../../kernel/place.ts'

/** `PROJECT/ENVIRONMENT`: what an endpoint is called among all of a gateway, and in its path. */
export const endpointName = ({ project, environment }: Place): string => `${project}/${environment}`
