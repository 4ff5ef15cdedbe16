// The connection to the agent. The only place that converts gRPC's errors: each names the server and what to do.
// Connects at the first call; not thread-safe.
#pragma once

#include <chrono>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "api/relay.grpc.pb.h"
#include "api/sluice.grpc.pb.h"
#include "api/tls.h"
#include "api/web.grpc.pb.h"
#include "base/status.h"

namespace sluice::client {

struct AgentAddress {
  std::string address = "unix:///run/sluice/sluice.sock";
  api::TlsFiles tls;      // for TCP
  std::string tls_name;   // required in the agent's certificate; empty: the address's host
  bool is_relay = false;  // a relay answers there, for the agents of all nodes
};

// What the agent says before the first event of a stream.
struct StreamStart {
  std::string node;                  // the agent's
  std::vector<std::string> notices;  // lines for people
};

class Client {
 public:
  explicit Client(AgentAddress server);

  StatusOr<v1::ApplyReply> Apply(const v1::ApplyRequest& request);
  StatusOr<v1::DeleteReply> Delete(const v1::DeleteRequest& request);
  StatusOr<v1::Explanation> Explain(const v1::ExplainRequest& request);
  StatusOr<v1::OperationExplanation> ExplainOperation(const v1::ExplainOperationRequest& request);
  StatusOr<web::Suggestions> Suggest(const v1::ExplainRequest& request);
  StatusOr<v1::QuarantineReply> Quarantine(const v1::QuarantineRequest& request);
  StatusOr<v1::AgentStatus> ReadStatus();
  StatusOr<cluster::ClusterStatus> ReadClusterStatus();  // of a relay, with the agents' own status
  StatusOr<v1::TopReply> Top(const v1::TopRequest& request);

  // Streams: each message goes to `consume`, whose error ends the stream and is returned.
  Status Get(const v1::GetRequest& request, const std::function<Status(const v1::Object&)>& consume);
  // `begun`: called once packets are kept for this stream.
  Status Capture(const v1::CaptureRequest& request, const std::function<Status(const v1::CaptureReply&)>& consume,
                 const std::function<void(const StreamStart&)>& begun = {});
  // `begun`: called once the agent collects events for this stream.
  Status Observe(const v1::ObserveRequest& request, const std::function<Status(const v1::Event&)>& consume,
                 const std::function<void(const StreamStart&)>& begun = {});
  // Of a relay, likewise.
  Status ObserveCluster(const v1::ObserveRequest& request,
                        const std::function<Status(const cluster::ClusterEvent&)>& consume,
                        const std::function<void(const StreamStart&)>& begun = {});
  // Ends after `duration`, if it is given. `begun` as for Observe.
  Status Record(const v1::RecordRequest& request, std::optional<std::chrono::nanoseconds> duration,
                const std::function<Status(const v1::EventRecords&)>& consume, const std::function<void()>& begun = {});

 private:
  Status Convert(const grpc::Status& status) const;

  AgentAddress server_;
  Status usable_;  // an error: there is no stub
  std::unique_ptr<v1::Sluice::Stub> stub_;
  std::unique_ptr<web::Web::Stub> web_stub_;
  std::unique_ptr<cluster::Relay::Stub> relay_stub_;
};

}  // namespace sluice::client
