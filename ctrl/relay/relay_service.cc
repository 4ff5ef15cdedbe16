#include "ctrl/relay/relay_service.h"

#include <google/protobuf/util/time_util.h>

#include "api/grpc_status.h"
#include "api/kinds.h"
#include "api/observe_metadata.h"
#include "ctrl/relay/ask_all.h"
#include "ctrl/relay/event_check.h"
#include "telemetry/event/event_filter.h"

namespace sluice::cluster {
namespace {

using namespace std::chrono_literals;
using api::Call;
using api::CallKind;
using api::ToGrpc;

constexpr auto kAnswerTime = 3s;                 // of all agents, who are asked at the same time
constexpr auto kListingTime = 5s;                // of one agent: they are asked one after another
constexpr std::size_t kMostObjects = 20'000;     // of one agent
constexpr std::size_t kStatusBytes = 48U << 20;  // of all agents' own status in one answer

grpc::Status OnlyReads() {
  return {grpc::StatusCode::UNIMPLEMENTED,
          "a relay only reads, for all nodes; for this, ask the agent of one node (--server, without --cluster)"};
}

// Of what every agent has: a policy or a namespace comes once, by the first agent that has it.
std::string SharedName(const v1::Object& object) {
  if (!object.has_resource()) return "";
  const v1::ResourceRef& ref = object.resource().ref();
  if (ref.kind() == "Workload") return "";
  return fmt::format("{} {} {}/{}", ref.api_version(), ref.kind(), ref.namespace_(), ref.name());
}

// Leaves out what `sluice --cluster status` does not show, if it is longer than its part of the answer. False: even
// then.
bool Shorten(std::size_t most, v1::AgentStatus* status) {
  if (status->ByteSizeLong() <= most) return true;
  status->clear_programs();
  status->clear_maps();
  status->clear_features();
  status->clear_detection_rules();
  status->clear_captures();
  return status->ByteSizeLong() <= most;
}

struct Counted {
  explicit Counted(std::atomic<std::uint64_t>* count) : count_(count) { ++*count_; }
  ~Counted() { --*count_; }
  Counted(const Counted&) = delete;
  Counted& operator=(const Counted&) = delete;

 private:
  std::atomic<std::uint64_t>* const count_;
};

}  // namespace

RelayService::RelayService(const Nodes* nodes, RelayFacts facts, ObserveLimits limits)
    : nodes_(nodes),
      facts_(std::move(facts)),
      limits_(limits),
      start_time_(google::protobuf::util::TimeUtil::GetCurrentTime()) {}

api::Served RelayService::served() {
  return {.services = {this, &cluster_}, .admit = [this](api::Calls* calls) { calls_ = calls; }, .refused = {}};
}

// `reader`: what to do with events and states of nodes, for an admitted call.
grpc::Status RelayService::Follow(grpc::ServerContext* context, const v1::ObserveRequest& request,
                                  const std::function<ClusterObserve::Reader(const Call&)>& reader) {
  const StatusOr<Call> call = calls_->Begin(context, request.follow() ? CallKind::kFollow : CallKind::kRead);
  if (!call.ok()) return ToGrpc(call.status());
  if (const auto filter = telemetry::EventFilter::Make(request); !filter.ok()) return ToGrpc(filter.status());
  context->AddInitialMetadata(api::kNodeKey, facts_.name);
  if (const std::string missing = nodes_->MissingText(); !missing.empty()) {
    context->AddInitialMetadata(api::kNoticeKey, missing);
  }
  std::optional<Counted> counted;
  if (request.follow()) counted.emplace(&followers_);
  ClusterObserve::Reader reading = reader(*call);
  reading.is_over = [this, context] { return stopping_ || context->IsCancelled(); };
  ClusterObserve observe(nodes_, request, limits_, facts_.name, std::move(reading));
  const sluice::Status observed = observe.Run();
  if (observed.ok() && stopping_) return {grpc::StatusCode::UNAVAILABLE, "the relay stops"};
  return ToGrpc(observed);
}

grpc::Status RelayService::ClusterService::Observe(grpc::ServerContext* context, const v1::ObserveRequest* request,
                                                   grpc::ServerWriter<ClusterEvent>* writer) {
  return service_->Follow(context, *request, [&](const Call& call) {
    writer->SendInitialMetadata();
    return ClusterObserve::Reader{.consume =
                                      [&call, writer](const v1::Event& event) {
                                        ClusterEvent out;
                                        *out.mutable_event() = event;
                                        return call.Write(writer, out);
                                      },
                                  .tell =
                                      [&call, writer](const NodeState& state) {
                                        ClusterEvent out;
                                        *out.mutable_node_state() = state;
                                        return call.Write(writer, out);
                                      },
                                  .is_over = {}};
  });
}

// Clients of one agent know no nodes: that one is missing is a loss of its events.
grpc::Status RelayService::Observe(grpc::ServerContext* context, const v1::ObserveRequest* request,
                                   grpc::ServerWriter<v1::Event>* writer) {
  return Follow(context, *request, [&](const Call& call) {
    writer->SendInitialMetadata();
    return ClusterObserve::Reader{
        .consume = [&call, writer](const v1::Event& event) { return call.Write(writer, event); },
        .tell =
            [&call, writer](const NodeState& state) {
              if (state.state() != NodeState::MISSING) return true;
              v1::Event event;
              v1::Lost& lost = *event.mutable_lost();
              *lost.mutable_time() = state.time();
              lost.set_node(state.node());
              lost.set_type("lost");
              lost.set_cause("NODE_MISSING");
              return call.Write(writer, event);
            },
        .is_over = {}};
  });
}

grpc::Status RelayService::Get(grpc::ServerContext* context, const v1::GetRequest* request,
                               grpc::ServerWriter<v1::Object>* writer) {
  const StatusOr<Call> call = calls_->Begin(context, CallKind::kRead);
  if (!call.ok()) return ToGrpc(call.status());
  if (const auto kind = api::ParseKind(request->kind()); !kind.ok()) return ToGrpc(kind.status());
  std::set<std::string> sent;
  sluice::Status problem;
  for (const NodePtr& node : nodes_->connected()) {
    grpc::ClientContext asked;
    asked.set_deadline(std::chrono::system_clock::now() + kListingTime);
    const auto reader = node->stub().Get(&asked, *request);
    v1::Object object;
    std::size_t count = 0;
    bool gone = false;
    while (!gone && reader->Read(&object)) {
      if (++count > kMostObjects) break;
      if (!IsPrintable(object)) continue;
      if (std::string name = SharedName(object); !name.empty() && !sent.insert(std::move(name)).second) continue;
      gone = context->IsCancelled() || !call->Write(writer, object);
    }
    if (gone || count > kMostObjects) asked.TryCancel();
    const grpc::Status ended = reader->Finish();
    if (gone) return grpc::Status::OK;
    if (count > kMostObjects) {
      problem.Update(MakeError(absl::StatusCode::kResourceExhausted, "node {}: only its first {} objects are shown",
                               node->name(), kMostObjects));
    } else if (!ended.ok()) {
      problem.Update(
          Annotate(api::FromGrpc({ended.error_code(), Harmless(ended.error_message())}), "node " + node->name()));
    }
  }
  if (const std::string missing = nodes_->MissingText(); !missing.empty()) {
    problem.Update(MakeError(absl::StatusCode::kUnavailable, "{}", missing));
  }
  return ToGrpc(problem);
}

ClusterStatus RelayService::ReadStatus(bool with_agents) const {
  ClusterStatus status;
  status.set_version(facts_.version);
  *status.mutable_start_time() = start_time_;
  status.set_followers(followers_);
  nodes_->Describe(&status);
  if (!with_agents) return status;
  const v1::StatusRequest request;
  auto answers = AskAll<v1::AgentStatus>(nodes_->connected(), kAnswerTime,
                                         [&](Node& node, grpc::ClientContext* context, auto* reply, auto done) {
                                           node.stub().async()->Status(context, &request, reply, std::move(done));
                                         });
  for (auto& [node, reply] : answers) {
    for (NodeStatus& one : *status.mutable_nodes()) {
      if (one.address() != node->address() || one.node() != node->name() || !reply.ok()) continue;
      if (!IsPrintable(*reply) || !Shorten(kStatusBytes / answers.size(), &*reply)) continue;
      *one.mutable_agent() = *std::move(reply);
      one.mutable_agent()->set_node(one.node());
      break;
    }
  }
  return status;
}

grpc::Status RelayService::ClusterService::ReadCluster(grpc::ServerContext* context,
                                                       const ClusterStatusRequest* request, ClusterStatus* reply) {
  // With the agents' own status, it is as long as a listing.
  const StatusOr<Call> call =
      service_->calls_->Begin(context, request->with_agents() ? CallKind::kRead : CallKind::kAnswer);
  if (!call.ok()) return ToGrpc(call.status());
  *reply = service_->ReadStatus(request->with_agents());
  return grpc::Status::OK;
}

grpc::Status RelayService::Apply(grpc::ServerContext*, const v1::ApplyRequest*, v1::ApplyReply*) { return OnlyReads(); }
grpc::Status RelayService::Delete(grpc::ServerContext*, const v1::DeleteRequest*, v1::DeleteReply*) {
  return OnlyReads();
}
grpc::Status RelayService::Explain(grpc::ServerContext*, const v1::ExplainRequest*, v1::Explanation*) {
  return OnlyReads();
}
grpc::Status RelayService::ExplainOperation(grpc::ServerContext*, const v1::ExplainOperationRequest*,
                                            v1::OperationExplanation*) {
  return OnlyReads();
}
grpc::Status RelayService::Quarantine(grpc::ServerContext*, const v1::QuarantineRequest*, v1::QuarantineReply*) {
  return OnlyReads();
}
grpc::Status RelayService::Capture(grpc::ServerContext*, const v1::CaptureRequest*,
                                   grpc::ServerWriter<v1::CaptureReply>*) {
  return OnlyReads();
}
grpc::Status RelayService::Top(grpc::ServerContext*, const v1::TopRequest*, v1::TopReply*) { return OnlyReads(); }
grpc::Status RelayService::Record(grpc::ServerContext*, const v1::RecordRequest*,
                                  grpc::ServerWriter<v1::EventRecords>*) {
  return OnlyReads();
}
grpc::Status RelayService::Status(grpc::ServerContext*, const v1::StatusRequest*, v1::AgentStatus*) {
  return {grpc::StatusCode::UNIMPLEMENTED, "this is a relay: `sluice --cluster status` shows its nodes"};
}

}  // namespace sluice::cluster
