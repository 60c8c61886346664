import protobuf from 'protobufjs'

/**
 * The Open Inference Protocol's gRPC service with the repository and statistics extensions, by the field numbers that its clients are
 * built with. Of KServe's and Triton's variants the union: where one leaves a field out, the other's clients send it.
 */
const text = `
syntax = "proto3";
package inference;

message ServerLiveRequest {}
message ServerLiveResponse { bool live = 1; }
message ServerReadyRequest {}
message ServerReadyResponse { bool ready = 1; }
message ModelReadyRequest { string name = 1; string version = 2; }
message ModelReadyResponse { bool ready = 1; }
message ServerMetadataRequest {}
message ServerMetadataResponse { string name = 1; string version = 2; repeated string extensions = 3; }
message ModelMetadataRequest { string name = 1; string version = 2; }
message TensorMetadata { string name = 1; string datatype = 2; repeated int64 shape = 3; }
message ModelMetadataResponse {
  string name = 1;
  repeated string versions = 2;
  string platform = 3;
  repeated TensorMetadata inputs = 4;
  repeated TensorMetadata outputs = 5;
}

message InferParameter {
  oneof parameter_choice {
    bool bool_param = 1;
    int64 int64_param = 2;
    string string_param = 3;
    double double_param = 4;
    uint64 uint64_param = 5;
  }
}
message InferTensorContents {
  repeated bool bool_contents = 1;
  repeated int32 int_contents = 2;
  repeated int64 int64_contents = 3;
  repeated uint32 uint_contents = 4;
  repeated uint64 uint64_contents = 5;
  repeated float fp32_contents = 6;
  repeated double fp64_contents = 7;
  repeated bytes bytes_contents = 8;
}
message InferTensor {
  string name = 1;
  string datatype = 2;
  repeated int64 shape = 3;
  map<string, InferParameter> parameters = 4;
  InferTensorContents contents = 5;
}
message InferRequestedOutput { string name = 1; map<string, InferParameter> parameters = 2; }
message ModelInferRequest {
  string model_name = 1;
  string model_version = 2;
  string id = 3;
  map<string, InferParameter> parameters = 4;
  repeated InferTensor inputs = 5;
  repeated InferRequestedOutput outputs = 6;
  repeated bytes raw_input_contents = 7;
}
message ModelInferResponse {
  string model_name = 1;
  string model_version = 2;
  string id = 3;
  map<string, InferParameter> parameters = 4;
  repeated InferTensor outputs = 5;
  repeated bytes raw_output_contents = 6;
}
message ModelStreamInferResponse { string error_message = 1; ModelInferResponse infer_response = 2; }

message StatisticDuration { uint64 count = 1; uint64 ns = 2; }
message InferStatistics {
  StatisticDuration success = 1;
  StatisticDuration fail = 2;
  StatisticDuration queue = 3;
  StatisticDuration compute_input = 4;
  StatisticDuration compute_infer = 5;
  StatisticDuration compute_output = 6;
  StatisticDuration cache_hit = 7;
  StatisticDuration cache_miss = 8;
}
message ModelStatisticsRequest { string name = 1; string version = 2; }
message ModelStatistics {
  string name = 1;
  string version = 2;
  uint64 last_inference = 3;
  uint64 inference_count = 4;
  uint64 execution_count = 5;
  InferStatistics inference_stats = 6;
}
message ModelStatisticsResponse { repeated ModelStatistics model_stats = 1; }

message ModelInput { string name = 1; int32 data_type = 2; repeated int64 dims = 4; bool optional = 8; }
message ModelOutput { string name = 1; int32 data_type = 2; repeated int64 dims = 3; }
message ModelConfig {
  string name = 1;
  string platform = 2;
  int32 max_batch_size = 4;
  repeated ModelInput input = 5;
  repeated ModelOutput output = 6;
  string backend = 17;
}
message ModelConfigRequest { string name = 1; string version = 2; }
message ModelConfigResponse { ModelConfig config = 1; }

message RepositoryIndexRequest { string repository_name = 1; bool ready = 2; }
message ModelIndex { string name = 1; string version = 2; string state = 3; string reason = 4; }
message RepositoryIndexResponse { repeated ModelIndex models = 1; }
message RepositoryModelLoadRequest { string repository_name = 1; string model_name = 2; }
message RepositoryModelLoadResponse {}
message RepositoryModelUnloadRequest { string repository_name = 1; string model_name = 2; }
message RepositoryModelUnloadResponse {}

service GRPCInferenceService {
  rpc ServerLive(ServerLiveRequest) returns (ServerLiveResponse);
  rpc ServerReady(ServerReadyRequest) returns (ServerReadyResponse);
  rpc ModelReady(ModelReadyRequest) returns (ModelReadyResponse);
  rpc ServerMetadata(ServerMetadataRequest) returns (ServerMetadataResponse);
  rpc ModelMetadata(ModelMetadataRequest) returns (ModelMetadataResponse);
  rpc ModelInfer(ModelInferRequest) returns (ModelInferResponse);
  rpc ModelStreamInfer(stream ModelInferRequest) returns (stream ModelStreamInferResponse);
  rpc ModelConfig(ModelConfigRequest) returns (ModelConfigResponse);
  rpc ModelStatistics(ModelStatisticsRequest) returns (ModelStatisticsResponse);
  rpc RepositoryIndex(RepositoryIndexRequest) returns (RepositoryIndexResponse);
  rpc RepositoryModelLoad(RepositoryModelLoadRequest) returns (RepositoryModelLoadResponse);
  rpc RepositoryModelUnload(RepositoryModelUnloadRequest) returns (RepositoryModelUnloadResponse);
}
`

/** What Kubernetes, Envoy and grpc_health_probe ask. Its `Watch` is not served: who asks again learns as much. */
const healthText = `
syntax = "proto3";
package grpc.health.v1;

message HealthCheckRequest { string service = 1; }
message HealthCheckResponse { enum ServingStatus { UNKNOWN = 0; SERVING = 1; NOT_SERVING = 2; } ServingStatus status = 1; }

service Health { rpc Check(HealthCheckRequest) returns (HealthCheckResponse); }
`

export const servingStatus = { SERVING: 1, NOT_SERVING: 2 } as const

export type Method = {
  name: string
  path: string
  isStream: boolean
  read: (bytes: Buffer) => object
  write: (message: object) => Buffer
  readAnswer: (bytes: Buffer) => object
  writeQuestion: (message: object) => Buffer
}

/** The methods of the service with what reads and writes their messages; fields keep the proto's names. */
export const oipMethods = (): Method[] => methodsOf(text, 'inference', 'GRPCInferenceService')

export const healthMethods = (): Method[] => methodsOf(healthText, 'grpc.health.v1', 'Health')

function methodsOf(proto: string, pack: string, serviceName: string): Method[] {
  const root = protobuf.parse(proto, { keepCase: true }).root
  const service = root.lookupService(`${pack}.${serviceName}`)
  return service.methodsArray.map((method) => {
    const question = root.lookupType(`${pack}.${method.requestType}`)
    const answer = root.lookupType(`${pack}.${method.responseType}`)
    const read = (type: protobuf.Type) => (bytes: Buffer) => type.decode(bytes)
    const write = (type: protobuf.Type) => (message: object) => Buffer.from(type.encode(message).finish())
    return {
      name: method.name,
      path: `/${pack}.${serviceName}/${method.name}`,
      isStream: method.requestStream === true,
      read: read(question),
      write: write(answer),
      readAnswer: read(answer),
      writeQuestion: write(question),
    }
  })
}
