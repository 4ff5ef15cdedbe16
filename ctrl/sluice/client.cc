#include "ctrl/sluice/client.h"

#include <grpc/support/log.h>
#include <grpcpp/grpcpp.h>

#include <chrono>

#include "api/grpc_status.h"
#include "api/message_limit.h"
#include "api/observe_metadata.h"

namespace sluice::client {
namespace {

using std::chrono::seconds;

constexpr int kConnectMilliseconds = 2000;
constexpr int kMaxBackoffMilliseconds = 5000;  // between attempts to reconnect
constexpr seconds kAnswerTimeout{30};
constexpr seconds kChangeTimeout{300};  // compiles and enforces everything

StatusOr<std::shared_ptr<grpc::ChannelCredentials>> MakeCredentials(const AgentAddress& server) {
  if (server.address.starts_with("unix:")) {
    if (server.tls.empty()) return grpc::InsecureChannelCredentials();
    return InvalidError("--server {}: --tls-cert, --tls-key and --tls-ca are for TCP", server.address);
  }
  if (server.tls.complete()) return api::MakeClientCredentials(server.tls);
  return InvalidError("--server {}: TCP needs --tls-cert, --tls-key and --tls-ca; a unix socket is unix:///PATH",
                      server.address);
}

StatusOr<std::shared_ptr<grpc::Channel>> MakeChannel(const AgentAddress& server) {
  SL_ASSIGN_OR_RETURN(const auto credentials, MakeCredentials(server));
  grpc::ChannelArguments arguments;
  arguments.SetMaxReceiveMessageSize(api::kMaxMessageBytes);
  arguments.SetMaxSendMessageSize(api::kMaxMessageBytes);
  arguments.SetInt(GRPC_ARG_ENABLE_HTTP_PROXY, 0);
  // Despite its name, this also limits one attempt to connect.
  arguments.SetInt(GRPC_ARG_MIN_RECONNECT_BACKOFF_MS, kConnectMilliseconds);
  arguments.SetInt(GRPC_ARG_INITIAL_RECONNECT_BACKOFF_MS, kMaxBackoffMilliseconds / 20);
  arguments.SetInt(GRPC_ARG_MAX_RECONNECT_BACKOFF_MS, kMaxBackoffMilliseconds);
  if (!server.tls_name.empty()) arguments.SetSslTargetNameOverride(server.tls_name);
  return grpc::CreateCustomChannel(server.address, credentials, arguments);
}

void SetTimeout(grpc::ClientContext* context, seconds timeout) {
  context->set_deadline(std::chrono::system_clock::now() + timeout);
}

// Empty: the stream has not begun.
StreamStart ReadStart(const grpc::ClientContext& context) {
  StreamStart start;
  for (const auto& [key, value] : context.GetServerInitialMetadata()) {
    if (key == api::kNodeKey) start.node.assign(value.data(), value.size());
    if (key == api::kNoticeKey) start.notices.emplace_back(value.data(), value.size());
  }
  return start;
}

// Reads to the end, or until `consume` fails: then `consumed` is its error.
template <typename Message>
grpc::Status ReadAll(grpc::ClientContext* context, grpc::ClientReader<Message>* reader,
                     const std::function<Status(const Message&)>& consume, Status* consumed) {
  Message message;
  while (consumed->ok() && reader->Read(&message)) {
    *consumed = consume(message);
    if (!consumed->ok()) context->TryCancel();
  }
  return reader->Finish();
}

}  // namespace

Client::Client(AgentAddress server) : server_(std::move(server)) {
  gpr_set_log_function([](gpr_log_func_args*) {});  // what went wrong is in the call's status
  auto channel = MakeChannel(server_);
  usable_ = channel.status();
  if (!channel.ok()) return;
  stub_ = v1::Sluice::NewStub(*channel);
  web_stub_ = web::Web::NewStub(*channel);
  relay_stub_ = cluster::Relay::NewStub(*channel);
}

Status Client::Convert(const grpc::Status& status) const {
  switch (status.error_code()) {
    case grpc::StatusCode::UNAVAILABLE:
      if (server_.is_relay) {
        return MakeError(absl::StatusCode::kUnavailable,
                         "no relay answers at {}: {}; is sluice-relay running, and may you read there? "
                         "(--relay names another one)",
                         server_.address, status.error_message());
      }
      return MakeError(absl::StatusCode::kUnavailable,
                       "no agent answers at {}: {}; is sluiced running, and may you use its API? "
                       "(--server names another one)",
                       server_.address, status.error_message());
    case grpc::StatusCode::DEADLINE_EXCEEDED:
      return MakeError(absl::StatusCode::kDeadlineExceeded,
                       "the agent at {} did not answer in time: {}; see its log for what it does", server_.address,
                       status.error_message());
    case grpc::StatusCode::CANCELLED:
      return MakeError(absl::StatusCode::kAborted,
                       "the agent at {} ended the call: {}; it also ends streams that are not read", server_.address,
                       status.error_message());
    default:
      if (!status.ok() && status.error_message().empty()) {
        return MakeError(absl::StatusCode::kInternal, "the agent at {} answers with gRPC's error {} and no message",
                         server_.address, static_cast<int>(status.error_code()));
      }
      return api::FromGrpc(status);
  }
}

StatusOr<v1::ApplyReply> Client::Apply(const v1::ApplyRequest& request) {
  SL_RETURN_IF_ERROR(usable_);
  grpc::ClientContext context;
  SetTimeout(&context, kChangeTimeout);
  v1::ApplyReply reply;
  SL_RETURN_IF_ERROR(Convert(stub_->Apply(&context, request, &reply)));
  return reply;
}

StatusOr<v1::DeleteReply> Client::Delete(const v1::DeleteRequest& request) {
  SL_RETURN_IF_ERROR(usable_);
  grpc::ClientContext context;
  SetTimeout(&context, kChangeTimeout);
  v1::DeleteReply reply;
  SL_RETURN_IF_ERROR(Convert(stub_->Delete(&context, request, &reply)));
  return reply;
}

StatusOr<v1::OperationExplanation> Client::ExplainOperation(const v1::ExplainOperationRequest& request) {
  SL_RETURN_IF_ERROR(usable_);
  grpc::ClientContext context;
  SetTimeout(&context, kAnswerTimeout);
  v1::OperationExplanation explanation;
  SL_RETURN_IF_ERROR(Convert(stub_->ExplainOperation(&context, request, &explanation)));
  return explanation;
}

StatusOr<v1::Explanation> Client::Explain(const v1::ExplainRequest& request) {
  SL_RETURN_IF_ERROR(usable_);
  grpc::ClientContext context;
  SetTimeout(&context, kAnswerTimeout);
  v1::Explanation explanation;
  SL_RETURN_IF_ERROR(Convert(stub_->Explain(&context, request, &explanation)));
  return explanation;
}

StatusOr<web::Suggestions> Client::Suggest(const v1::ExplainRequest& request) {
  SL_RETURN_IF_ERROR(usable_);
  grpc::ClientContext context;
  SetTimeout(&context, kAnswerTimeout);
  web::Suggestions suggestions;
  SL_RETURN_IF_ERROR(Convert(web_stub_->Suggest(&context, request, &suggestions)));
  return suggestions;
}

// The reply may wait for a running change; cutting the workload off does not.
StatusOr<v1::QuarantineReply> Client::Quarantine(const v1::QuarantineRequest& request) {
  SL_RETURN_IF_ERROR(usable_);
  grpc::ClientContext context;
  SetTimeout(&context, kChangeTimeout);
  v1::QuarantineReply reply;
  SL_RETURN_IF_ERROR(Convert(stub_->Quarantine(&context, request, &reply)));
  return reply;
}

StatusOr<v1::AgentStatus> Client::ReadStatus() {
  SL_RETURN_IF_ERROR(usable_);
  grpc::ClientContext context;
  SetTimeout(&context, kAnswerTimeout);
  v1::AgentStatus status;
  SL_RETURN_IF_ERROR(Convert(stub_->Status(&context, {}, &status)));
  return status;
}

StatusOr<cluster::ClusterStatus> Client::ReadClusterStatus() {
  SL_RETURN_IF_ERROR(usable_);
  grpc::ClientContext context;
  SetTimeout(&context, kAnswerTimeout);
  cluster::ClusterStatusRequest request;
  request.set_with_agents(true);
  cluster::ClusterStatus status;
  SL_RETURN_IF_ERROR(Convert(relay_stub_->ReadCluster(&context, request, &status)));
  return status;
}

StatusOr<v1::TopReply> Client::Top(const v1::TopRequest& request) {
  SL_RETURN_IF_ERROR(usable_);
  grpc::ClientContext context;
  SetTimeout(&context, kAnswerTimeout);
  v1::TopReply reply;
  SL_RETURN_IF_ERROR(Convert(stub_->Top(&context, request, &reply)));
  return reply;
}

Status Client::Get(const v1::GetRequest& request, const std::function<Status(const v1::Object&)>& consume) {
  SL_RETURN_IF_ERROR(usable_);
  grpc::ClientContext context;
  SetTimeout(&context, kChangeTimeout);
  Status consumed;
  const auto reader = stub_->Get(&context, request);
  const grpc::Status ended = ReadAll(&context, reader.get(), consume, &consumed);
  return consumed.ok() ? Convert(ended) : consumed;
}

Status Client::Capture(const v1::CaptureRequest& request, const std::function<Status(const v1::CaptureReply&)>& consume,
                       const std::function<void(const StreamStart&)>& begun) {
  SL_RETURN_IF_ERROR(usable_);
  grpc::ClientContext context;
  Status consumed;
  const auto reader = stub_->Capture(&context, request);
  reader->WaitForInitialMetadata();
  const StreamStart start = ReadStart(context);
  if (begun && !start.node.empty()) begun(start);
  const grpc::Status ended = ReadAll(&context, reader.get(), consume, &consumed);
  return consumed.ok() ? Convert(ended) : consumed;
}

Status Client::Observe(const v1::ObserveRequest& request, const std::function<Status(const v1::Event&)>& consume,
                       const std::function<void(const StreamStart&)>& begun) {
  SL_RETURN_IF_ERROR(usable_);
  grpc::ClientContext context;
  if (!request.follow()) SetTimeout(&context, kChangeTimeout);
  Status consumed;
  const auto reader = stub_->Observe(&context, request);
  reader->WaitForInitialMetadata();
  const StreamStart start = ReadStart(context);
  if (begun && !start.node.empty()) begun(start);
  const grpc::Status ended = ReadAll(&context, reader.get(), consume, &consumed);
  return consumed.ok() ? Convert(ended) : consumed;
}

Status Client::ObserveCluster(const v1::ObserveRequest& request,
                              const std::function<Status(const cluster::ClusterEvent&)>& consume,
                              const std::function<void(const StreamStart&)>& begun) {
  SL_RETURN_IF_ERROR(usable_);
  grpc::ClientContext context;
  if (!request.follow()) SetTimeout(&context, kChangeTimeout);
  Status consumed;
  const auto reader = relay_stub_->Observe(&context, request);
  reader->WaitForInitialMetadata();
  const StreamStart start = ReadStart(context);
  if (begun && !start.node.empty()) begun(start);
  const grpc::Status ended = ReadAll(&context, reader.get(), consume, &consumed);
  return consumed.ok() ? Convert(ended) : consumed;
}

Status Client::Record(const v1::RecordRequest& request, std::optional<std::chrono::nanoseconds> duration,
                      const std::function<Status(const v1::EventRecords&)>& consume,
                      const std::function<void()>& begun) {
  SL_RETURN_IF_ERROR(usable_);
  grpc::ClientContext context;
  if (duration) {
    context.set_deadline(std::chrono::system_clock::now() +
                         std::chrono::ceil<std::chrono::system_clock::duration>(*duration));
  }
  Status consumed;
  const auto reader = stub_->Record(&context, request);
  reader->WaitForInitialMetadata();
  if (begun && !ReadStart(context).node.empty()) begun();
  const grpc::Status ended = ReadAll(&context, reader.get(), consume, &consumed);
  if (!consumed.ok()) return consumed;
  if (duration && ended.error_code() == grpc::StatusCode::DEADLINE_EXCEEDED) return OkStatus();
  return Convert(ended);
}

}  // namespace sluice::client
