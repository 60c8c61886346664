/** Who must act: the user mends it (yours), a retry later helps (wait), or it is a bug (ours). */
export type Culprit = 'yours' | 'wait' | 'ours'

type CodeFacts = { status: number; culprit: Culprit; meaning: string }

/** Every error code that a user can meet. Codes are API: documented in docs/errors.md (generated), never renamed. */
export const errorCodes = {
  Internal: { status: 500, culprit: 'ours', meaning: 'A bug in Modelwright.' },
  BadRequest: {
    status: 400,
    culprit: 'yours',
    meaning: 'The request does not have the form that the endpoint documents.',
  },
  NotFound: { status: 404, culprit: 'yours', meaning: 'There is no such thing under that name or id.' },
  Conflict: { status: 409, culprit: 'yours', meaning: 'The thing is in a state that does not allow this.' },
  AlreadyExists: { status: 409, culprit: 'yours', meaning: 'A thing of that name is there already.' },
  Unauthenticated: { status: 401, culprit: 'yours', meaning: 'This needs a token, or the token is not known.' },
  Forbidden: { status: 403, culprit: 'yours', meaning: 'The token is known but does not allow this.' },
  TooManyAttempts: {
    status: 429,
    culprit: 'wait',
    meaning: 'Passwords were tried too often or too many at once; the answer says when to come back.',
  },
  NotYetSupported: {
    status: 422,
    culprit: 'yours',
    meaning: 'The file or request asks for something that this version does not carry out yet.',
  },
  ConfigInvalid: { status: 422, culprit: 'yours', meaning: 'modelwright.yaml (or a dvc.yaml) is not valid.' },
  ServerUnreachable: { status: 503, culprit: 'wait', meaning: 'No Modelwright server answers at the address.' },
  StorageFull: { status: 507, culprit: 'wait', meaning: 'The disk that holds the data folder is full.' },
  DataFolderBusy: { status: 409, culprit: 'yours', meaning: 'Another server already works on this data folder.' },
  DataFolderUnusable: { status: 500, culprit: 'yours', meaning: 'The data folder cannot be made, read or written.' },
  PortTaken: { status: 409, culprit: 'yours', meaning: 'Another program listens on the port.' },
  ObjectCorrupt: {
    status: 500,
    culprit: 'ours',
    meaning: 'Stored bytes do not have the digest under which they are kept.',
  },
  EnvironmentFailed: {
    status: 422,
    culprit: 'yours',
    meaning: 'The Python environment could not be resolved or built.',
  },
  PythonMissing: { status: 500, culprit: 'yours', meaning: 'No Python 3 can be run, which begins steps.' },
  DatabaseUnavailable: { status: 503, culprit: 'wait', meaning: 'The database does not answer at the moment.' },
  DatabaseUnusable: { status: 500, culprit: 'yours', meaning: 'The database cannot be used by this version.' },
  DependencyMissing: {
    status: 422,
    culprit: 'yours',
    meaning: 'A step depends on something that neither the commit holds nor a step writes.',
  },
  OutputMissing: { status: 422, culprit: 'yours', meaning: 'A step ended well without writing what it declared.' },
  UndeclaredRead: {
    status: 422,
    culprit: 'yours',
    meaning: 'A step looked for a file of the repository that it did not declare.',
  },
  OutsideWorkspace: {
    status: 422,
    culprit: 'yours',
    meaning: 'A step failed on a path outside its workspace that steps do not see or may not change.',
  },
  StepTimedOut: { status: 422, culprit: 'yours', meaning: 'A step ran for longer than its timeout allows.' },
  StepOutOfMemory: { status: 422, culprit: 'yours', meaning: 'A step took more memory than its resources allow.' },
  SecretMissing: { status: 422, culprit: 'yours', meaning: 'A step asks for a secret that is not set.' },
  MetricMissing: {
    status: 422,
    culprit: 'yours',
    meaning: 'A condition of a step asks for a metric that was not measured.',
  },
  FanOutInvalid: {
    status: 422,
    culprit: 'yours',
    meaning: 'The list that a step is to be run over cannot be carried out as it was written.',
  },
  StepFailed: { status: 422, culprit: 'yours', meaning: 'The command of a step ended with a failure.' },
  StepStuck: {
    status: 500,
    culprit: 'ours',
    meaning: 'Modelwright itself failed, again and again, while it carried a step.',
  },
  StepLost: { status: 500, culprit: 'wait', meaning: 'A step is gone without an exit status, as after a power loss.' },
  DataChecksFailed: { status: 422, culprit: 'yours', meaning: 'Declared data checks do not hold for the data.' },
  ModelUnusable: { status: 422, culprit: 'yours', meaning: 'A model cannot be loaded, or cannot answer.' },
  ConversionRefused: {
    status: 422,
    culprit: 'yours',
    meaning: 'A model cannot be converted to ONNX, or answers otherwise as a graph.',
  },
  ScoringFailed: { status: 422, culprit: 'yours', meaning: 'A table cannot be scored as it is, or not any further.' },
  ModelMissing: { status: 422, culprit: 'yours', meaning: 'A step that declares a model logged none.' },
  SloInvalid: { status: 422, culprit: 'yours', meaning: "The file is not in the form of Keptn's slo.yaml." },
  GateInputInvalid: {
    status: 422,
    culprit: 'yours',
    meaning: 'The values to judge, or the earlier ones, are not in the documented form.',
  },
  DataUnreadable: {
    status: 422,
    culprit: 'yours',
    meaning: 'A data file cannot be read as the table that it should be.',
  },
  DataUnavailable: {
    status: 422,
    culprit: 'yours',
    meaning: 'What the address of a dataset leads to cannot be had: it is not there, too large, or not allowed.',
  },
  DataUnreachable: {
    status: 503,
    culprit: 'wait',
    meaning: 'The address of a dataset does not answer, or what it sent broke off.',
  },
  SecretUnreadable: {
    status: 500,
    culprit: 'yours',
    meaning: 'A stored secret cannot be opened with the key that is there.',
  },
  DemoFailed: { status: 500, culprit: 'ours', meaning: 'A stage of the demonstration did not happen.' },
} as const satisfies Record<string, CodeFacts>

export type ErrorCode = keyof typeof errorCodes
