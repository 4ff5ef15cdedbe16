#include "ctrl/sluice/explanation.h"

#include "ctrl/explain/explain.h"
#include "ctrl/resources/offline_snapshot.h"
#include "ctrl/sluice/offline.h"
#include "ctrl/sluice/service_port.h"
#include "ctrl/sluice/verb.h"

namespace sluice::client {
namespace {

Status SetPort(const std::string& text, const FindPorts& find, v1::ExplainRequest& request) {
  SL_ASSIGN_OR_RETURN(const ProtocolPort port, ResolvePort(text, request.to(), find));
  request.set_protocol(port.protocol);
  request.set_port(port.port);
  return OkStatus();
}

// What the files say of a flow.
struct Question {
  std::shared_ptr<const policy::Snapshot> snapshot;
  v1::ExplainRequest request;
};

StatusOr<Question> ReadQuestion(const ResourceArgs& args, const std::string& port, v1::ExplainRequest request) {
  SL_ASSIGN_OR_RETURN(const auto files, InFiles(ReadAll(args)));
  OfflineResources read = ReadOffline(files, args);
  if (!read.problems.empty()) {
    return MakeError(absl::StatusCode::kFailedPrecondition, "{}", fmt::join(read.problems, "\n"));
  }
  for (const std::string& notice : read.notices) Tell(notice);
  const auto assumed = resources::AssumeAddresses(read.resources);
  SL_ASSIGN_OR_RETURN(const auto snapshot, InFiles(resources::SnapshotOf(read.resources)));
  request.set_from(PodsOf(read.resources, request.from()));
  request.set_to(PodsOf(read.resources, request.to()));
  for (const resources::AssumedAddress& one : assumed) {
    const std::string name = one.name.ToString();
    if (name != request.from() && name != request.to()) continue;
    Tell(fmt::format("{}: the files name no address: {} is assumed, which is in no ipBlock except 0.0.0.0/0", name,
                     one.address.ToString()));
  }
  const auto find = [&snapshot = *snapshot](const std::string& end) -> StatusOr<std::vector<policy::NamedPort>> {
    const std::size_t slash = end.find('/');
    const policy::Endpoint* endpoint = snapshot.FindByName({end.substr(0, slash), end.substr(slash + 1)});
    if (endpoint != nullptr) return endpoint->ports;
    return MakeError(absl::StatusCode::kNotFound, "{}: the files have no such workload or pod", end);
  };
  SL_RETURN_IF_ERROR(SetPort(port, find, request));
  return Question{snapshot, std::move(request)};
}

Status SetPortByAgent(Client& client, const std::string& port, v1::ExplainRequest& request) {
  return SetPort(
      port, [&client](const std::string& end) { return AskForPorts(client, end); }, request);
}

}  // namespace

StatusOr<v1::Explanation> AskForExplanation(const AgentAddress& server, const ResourceArgs& resources,
                                            const std::string& port, v1::ExplainRequest request) {
  if (!resources.paths.empty()) {
    SL_ASSIGN_OR_RETURN(const Question question, ReadQuestion(resources, port, std::move(request)));
    return explain::Explain(*question.snapshot, {}, question.request);
  }
  Client client(server);
  SL_RETURN_IF_ERROR(SetPortByAgent(client, port, request));
  return client.Explain(request);
}

StatusOr<web::Suggestions> AskForSuggestions(const AgentAddress& server, const ResourceArgs& resources,
                                             const std::string& port, v1::ExplainRequest request) {
  if (!resources.paths.empty()) {
    SL_ASSIGN_OR_RETURN(const Question question, ReadQuestion(resources, port, std::move(request)));
    return explain::Suggest(*question.snapshot, {}, question.request);
  }
  Client client(server);
  SL_RETURN_IF_ERROR(SetPortByAgent(client, port, request));
  return client.Suggest(request);
}

}  // namespace sluice::client
