import type { Duplex } from 'node:stream'
import {
  type Metadata,
  Server,
  ServerCredentials,
  type ServerDuplexStream,
  type ServerUnaryCall,
  type ServiceDefinition,
  type sendUnaryData,
  status,
  type UntypedServiceImplementation,
} from '@grpc/grpc-js'
import { cannotListen } from '../../kernel/listening.ts'
import { ScoringError } from '../scoring-error.ts'
import { checkToken } from './door-checks.ts'
import { modelConfigMessage } from './model-config.ts'
import type { ModelRepository, ServedName } from './model-repository.ts'
import { type InferMessage, readInferMessage, writeInferMessage } from './oip-grpc-messages.ts'
import { extensions, findModel, indexOf, modelFacts, notReady, statisticsOf } from './oip-http.ts'
import { healthMethods, type Method, oipMethods, servingStatus } from './oip-proto.ts'
import { timedInference } from './timed-inference.ts'

export type GrpcSetting = {
  /** Asked at each call: what is served changes. */
  repository: () => ModelRepository
  maxBodyBytes: number
  now: () => number
  token: string | undefined
}

type Named = { name: string; version: string }

/** The Open Inference Protocol over gRPC: connections that were accepted elsewhere, or a port of its own. */
export class GrpcDoor {
  readonly #setting: GrpcSetting
  readonly #server: Server
  readonly #injector: ReturnType<Server['createConnectionInjector']>

  constructor(setting: GrpcSetting) {
    this.#setting = setting
    this.#server = new Server({
      'grpc.max_receive_message_length': setting.maxBodyBytes,
      'grpc.max_send_message_length': -1,
    })
    this.#server.addService(definitionOf(oipMethods()), this.#methods())
    this.#server.addService(definitionOf(healthMethods()), { Check: this.#unary((asked) => this.#health(asked), true) })
    this.#injector = this.#server.createConnectionInjector(ServerCredentials.createInsecure())
  }

  take(socket: Duplex): void {
    this.#injector.injectConnection(socket)
  }

  /** @param port 0 takes any free one @throws AppError PortTaken, BadRequest */
  listen(host: string, port: number): Promise<number> {
    const address = host.includes(':') ? `[${host}]:${port}` : `${host}:${port}`
    return new Promise((resolve, reject) => {
      this.#server.bindAsync(address, ServerCredentials.createInsecure(), (error, bound) => {
        if (!error) return resolve(bound)
        const cause: NodeJS.ErrnoException = Object.assign(error, {
          code: /EADDRINUSE/.test(error.message) ? 'EADDRINUSE' : error.message,
        })
        reject(cannotListen({ host, port }, { host: '--host', port: '--grpc-port' }, cause))
      })
    })
  }

  async close(): Promise<void> {
    this.#injector.drain(1_000)
    const forced = setTimeout(() => this.#server.forceShutdown(), 2_000)
    await new Promise<void>((resolve) => this.#server.tryShutdown(() => resolve()))
    clearTimeout(forced)
    this.#injector.destroy()
  }

  #methods(): UntypedServiceImplementation {
    const { repository } = this.#setting
    const unary = (answer: (question: never, signal: AbortSignal) => unknown) => this.#unary(answer)
    return {
      ServerLive: unary(() => ({ live: true })),
      ServerReady: unary(() => ({ ready: repository().isReady })),
      ServerMetadata: unary(() => ({ name: 'modelwright', version: repository().serverVersion, extensions })),
      ModelReady: unary(({ name, version }: Named) => ({ ready: isReady(repository(), name, version) })),
      ModelMetadata: unary((question: Named) => modelFacts(this.#knownModel(question))),
      ModelConfig: unary((question: Named) => modelConfigMessage(this.#knownModel(question))),
      ModelInfer: unary((question: InferMessage, signal) => this.#infer(question, signal)),
      ModelStreamInfer: (call: ServerDuplexStream<InferMessage, object>) => this.#stream(call),
      ModelStatistics: unary(({ name, version }: Named) => {
        const models = repository()
        return statisticsOf(models, name === '' ? models.list() : [findModel(models, name, version)])
      }),
      RepositoryIndex: unary(({ ready }: { ready: boolean }) => ({ models: indexOf(repository(), ready) })),
      RepositoryModelLoad: unary(async (question: RepositoryQuestion) => {
        await repository().load(modelNamed(question))
        return {}
      }),
      RepositoryModelUnload: unary(async (question: RepositoryQuestion) => {
        await repository().unload(modelNamed(question))
        return {}
      }),
    }
  }

  /** @throws ScoringError 404; 503 where it was not loaded yet, so that nobody knows what it takes */
  #knownModel({ name, version }: Named): ServedName {
    const model = findModel(this.#setting.repository(), name, version)
    if (model.facts.platform === '') throw notReady(model)
    return model
  }

  #unary(answer: (question: never, signal: AbortSignal) => unknown, isOpen = false) {
    return async (call: ServerUnaryCall<object, object>, tell: sendUnaryData<object>): Promise<void> => {
      const gone = new AbortController()
      call.once('cancelled', () => gone.abort())
      try {
        if (!isOpen) this.#checkToken(call.metadata)
        tell(null, (await answer(call.request as never, gone.signal)) as object)
      } catch (error) {
        tell(grpcError(error))
      }
    }
  }

  /** Triton's stream: an answer for each question as it is ready; what fails fails alone. */
  #stream(call: ServerDuplexStream<InferMessage, object>): void {
    const gone = new AbortController()
    let open = 0
    let isEnding = false
    const endWhenDone = () => {
      if (isEnding && open === 0) call.end()
    }
    call.once('cancelled', () => gone.abort())
    call.on('error', () => gone.abort())
    call.on('data', (question: InferMessage) => {
      open++
      void Promise.resolve()
        .then(() => this.#checkToken(call.metadata))
        .then(() => this.#infer(question, gone.signal))
        .then(
          (answer) => call.write({ infer_response: answer }),
          (error: unknown) =>
            call.write({ error_message: grpcError(error).details, infer_response: { id: question.id } }),
        )
        .finally(() => {
          open--
          endWhenDone()
        })
    })
    call.on('end', () => {
      isEnding = true
      endWhenDone()
    })
  }

  /** As HTTP's health it needs no token. */
  #health({ service }: HealthQuestion): object {
    const repository = this.#setting.repository()
    const isServing = service === '' || service === oipService ? repository.isReady : isReady(repository, service)
    return { status: isServing ? servingStatus.SERVING : servingStatus.NOT_SERVING }
  }

  async #infer(question: InferMessage, signal: AbortSignal): Promise<object> {
    const { repository, now } = this.#setting
    const model = findModel(repository(), question.model_name, question.model_version)
    const { written } = await timedInference({
      model,
      now,
      signal,
      read: () => readInferMessage(question),
      write: writeInferMessage,
    })
    return written
  }

  #checkToken(metadata: Metadata): void {
    checkToken(metadata.get('authorization')[0]?.toString(), this.#setting.token)
  }
}

type RepositoryQuestion = { repository_name: string; model_name: string }

/** KServe's variant of the message has the model's name where Triton's has the repository's. */
const modelNamed = ({ repository_name, model_name }: RepositoryQuestion): string => model_name || repository_name

type HealthQuestion = { service: string }

const oipService = 'inference.GRPCInferenceService'

const isReady = (repository: ModelRepository, name: string, version?: string): boolean =>
  findModel(repository, name, version).state === 'ready'

const definitionOf = (methods: readonly Method[]): ServiceDefinition =>
  Object.fromEntries(
    methods.map(({ name, path, isStream, read, write, readAnswer, writeQuestion }) => [
      name,
      {
        path,
        requestStream: isStream,
        responseStream: isStream,
        requestSerialize: writeQuestion,
        requestDeserialize: read,
        responseSerialize: write,
        responseDeserialize: readAnswer,
      },
    ]),
  )

const codeOfStatus: Record<number, status> = {
  400: status.INVALID_ARGUMENT,
  401: status.UNAUTHENTICATED,
  403: status.PERMISSION_DENIED,
  404: status.NOT_FOUND,
  413: status.RESOURCE_EXHAUSTED,
  429: status.RESOURCE_EXHAUSTED,
  503: status.UNAVAILABLE,
  504: status.DEADLINE_EXCEEDED,
}

function grpcError(error: unknown): { code: status; details: string } {
  if (error instanceof ScoringError)
    return { code: codeOfStatus[error.status] ?? status.INTERNAL, details: error.message }
  return { code: status.INTERNAL, details: `A bug in Modelwright: ${error instanceof Error ? error.message : error}` }
}
