#include "ctrl/cri/runtime_client.h"

#include <algorithm>
#include <utility>

namespace sluice::cri {
namespace {

namespace events = containerd::services::events::v1;
namespace v1 = runtime::v1;

constexpr int kMaxMessage = 64 << 20;
constexpr std::size_t kInFlight = 16;

// What may change a list; comma is "and". Processes that are executed in containers have topics of their own for their
// start, but not for their end.
constexpr const char* kFilter =
    R"(namespace==k8s.io,topic~="^/(containers/(create|delete)|tasks/(start|exit)|sandboxes/[a-z]+)$")";

// The codes are the same numbers.
Status FromRuntime(const grpc::Status& status) {
  return status.ok() ? OkStatus() : Status(static_cast<absl::StatusCode>(status.error_code()), status.error_message());
}

std::shared_ptr<grpc::Channel> MakeChannel(const std::string& endpoint) {
  grpc::ChannelArguments arguments;
  arguments.SetMaxReceiveMessageSize(kMaxMessage);
  // A new connection does not wait for the backoff of an old one to the same endpoint.
  arguments.SetInt(GRPC_ARG_USE_LOCAL_SUBCHANNEL_POOL, 1);
  return grpc::CreateCustomChannel(endpoint, grpc::InsecureChannelCredentials(), arguments);
}

}  // namespace

RuntimeClient::RuntimeClient(const std::string& endpoint, std::chrono::milliseconds call_deadline)
    : call_deadline_(call_deadline), channel_(MakeChannel(endpoint)), stub_(v1::RuntimeService::NewStub(channel_)) {}

void RuntimeClient::Begin(grpc::ClientContext* context) {
  context->set_deadline(std::chrono::system_clock::now() + call_deadline_);
  const std::lock_guard lock(mutex_);
  contexts_.insert(context);
  if (cancelled_) context->TryCancel();
}

void RuntimeClient::End(grpc::ClientContext* context) {
  const std::lock_guard lock(mutex_);
  contexts_.erase(context);
}

void RuntimeClient::Cancel() {
  const std::lock_guard lock(mutex_);
  cancelled_ = true;
  for (grpc::ClientContext* context : contexts_) context->TryCancel();
}

template <typename Response, typename Start>
void RuntimeClient::CallEach(const std::vector<std::string>& ids, const Start& start,
                             const OnStatus<Response>& on_status) {
  struct InFlight {
    std::string id;
    grpc::ClientContext context;
    std::unique_ptr<grpc::ClientAsyncResponseReader<Response>> reader;
    Response response;
    grpc::Status status;
  };
  grpc::CompletionQueue queue;
  std::size_t next = 0;
  const auto start_next = [&] {
    auto call = std::make_unique<InFlight>();
    call->id = ids[next++];
    Begin(&call->context);
    call->reader = start(&call->context, call->id, &queue);
    call->reader->Finish(&call->response, &call->status, call.get());
    static_cast<void>(call.release());  // the queue has it
  };
  for (std::size_t i = std::min(ids.size(), kInFlight); i > 0; --i) start_next();
  void* tag = nullptr;
  bool ok = false;
  for (std::size_t answered = 0; answered < ids.size() && queue.Next(&tag, &ok); ++answered) {
    const std::unique_ptr<InFlight> call(static_cast<InFlight*>(tag));
    End(&call->context);
    if (next < ids.size()) start_next();
    if (call->status.ok()) {
      on_status(call->id, std::move(call->response));
    } else {
      on_status(call->id, FromRuntime(call->status));
    }
  }
  queue.Shutdown();
  while (queue.Next(&tag, &ok)) {
  }
}

template <typename Response, typename Start>
StatusOr<Response> RuntimeClient::CallOnce(const Start& start) {
  grpc::ClientContext context;
  Begin(&context);
  Response response;
  const grpc::Status status = start(&context, &response);
  End(&context);
  if (!status.ok()) return FromRuntime(status);
  return response;
}

StatusOr<std::string> RuntimeClient::Version() {
  auto version = CallOnce<v1::VersionResponse>([&](grpc::ClientContext* context, v1::VersionResponse* response) {
    return stub_->Version(context, {}, response);
  });
  if (!version.ok()) return version.status();
  return version->runtime_name() + " " + version->runtime_version();
}

StatusOr<std::vector<v1::PodSandbox>> RuntimeClient::ReadySandboxes() {
  v1::ListPodSandboxRequest request;
  request.mutable_filter()->mutable_state()->set_state(v1::SANDBOX_READY);
  auto list =
      CallOnce<v1::ListPodSandboxResponse>([&](grpc::ClientContext* context, v1::ListPodSandboxResponse* response) {
        return stub_->ListPodSandbox(context, request, response);
      });
  if (!list.ok()) return Annotate(list.status(), "list of pod sandboxes");
  std::vector<v1::PodSandbox> sandboxes(std::move_iterator(list->mutable_items()->begin()),
                                        std::move_iterator(list->mutable_items()->end()));
  std::erase_if(sandboxes, [](const v1::PodSandbox& sandbox) { return sandbox.state() != v1::SANDBOX_READY; });
  return sandboxes;
}

StatusOr<std::vector<v1::Container>> RuntimeClient::LivingContainers() {
  const v1::ListContainersRequest request;  // a filter takes one state only
  auto list =
      CallOnce<v1::ListContainersResponse>([&](grpc::ClientContext* context, v1::ListContainersResponse* response) {
        return stub_->ListContainers(context, request, response);
      });
  if (!list.ok()) return Annotate(list.status(), "list of containers");
  std::vector<v1::Container> containers(std::move_iterator(list->mutable_containers()->begin()),
                                        std::move_iterator(list->mutable_containers()->end()));
  std::erase_if(containers, [](const v1::Container& one) {
    return one.state() != v1::CONTAINER_CREATED && one.state() != v1::CONTAINER_RUNNING;
  });
  return containers;
}

void RuntimeClient::SandboxStatuses(const std::vector<std::string>& ids,
                                    const OnStatus<v1::PodSandboxStatusResponse>& on_status) {
  const auto start = [&](grpc::ClientContext* context, const std::string& id, grpc::CompletionQueue* queue) {
    v1::PodSandboxStatusRequest request;
    request.set_pod_sandbox_id(id);
    request.set_verbose(true);
    return stub_->AsyncPodSandboxStatus(context, request, queue);
  };
  CallEach<v1::PodSandboxStatusResponse>(ids, start, on_status);
}

void RuntimeClient::ContainerStatuses(const std::vector<std::string>& ids,
                                      const OnStatus<v1::ContainerStatusResponse>& on_status) {
  const auto start = [&](grpc::ClientContext* context, const std::string& id, grpc::CompletionQueue* queue) {
    v1::ContainerStatusRequest request;
    request.set_container_id(id);
    request.set_verbose(true);
    return stub_->AsyncContainerStatus(context, request, queue);
  };
  CallEach<v1::ContainerStatusResponse>(ids, start, on_status);
}

EventStream::EventStream(const std::shared_ptr<grpc::Channel>& channel, std::function<void()> on_event,
                         std::function<void(const Status&)> on_end)
    : stub_(events::Events::NewStub(channel)),
      on_event_(std::move(on_event)),
      on_end_(std::move(on_end)),
      thread_([this] { Run(); }) {}

EventStream::~EventStream() {
  context_.TryCancel();
  thread_.join();
}

void EventStream::Run() {
  events::SubscribeRequest request;
  request.add_filters(kFilter);
  const auto reader = stub_->Subscribe(&context_, request);
  for (events::Envelope envelope; reader->Read(&envelope);) {
    events::TaskExit exit;
    const bool of_another_process = envelope.topic() == "/tasks/exit" &&
                                    exit.ParseFromString(envelope.event().value()) && !exit.id().empty() &&
                                    exit.id() != exit.container_id();
    if (!of_another_process) on_event_();
  }
  on_end_(FromRuntime(reader->Finish()));
}

}  // namespace sluice::cri
