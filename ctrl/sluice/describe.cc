// `describe`: all that is known of a resource, for people.
#include "base/output.h"
#include "base/printable.h"
#include "ctrl/sluice/describe_text.h"
#include "ctrl/sluice/find_resource.h"
#include "ctrl/sluice/object_name.h"
#include "ctrl/sluice/verb.h"

namespace sluice::client {
namespace {

struct DescribeOptions {
  std::string kind;
  std::vector<std::string> names;
  std::string ns;
  std::string configured;  // namespace of the configuration file
  std::uint32_t flows = 5;
};

bool Names(const v1::Flow& flow, const v1::ResourceRef& policy) {
  return std::any_of(flow.policies().begin(), flow.policies().end(), [&](const v1::PolicyRef& ref) {
    return ref.namespace_() == policy.namespace_() && ref.name() == policy.name() &&
           (ref.api_version().empty() || ref.api_version() == policy.api_version());
  });
}

// The newest flows that a workload is an end of, or that a policy decided.
StatusOr<std::vector<v1::Event>> LastFlows(Client& client, const v1::Resource& resource, std::uint32_t most) {
  const v1::ResourceRef& ref = resource.ref();
  v1::ObserveRequest request;
  request.set_last(most);
  v1::ObserveRequest::Filter& filter = *request.mutable_filter();
  filter.set_type("flow");
  if (resource.has_workload()) {
    filter.set_namespace_(ref.namespace_());
    filter.set_workload(ref.name());
  } else {
    filter.add_policies(policy::ObjectName{ref.namespace_(), ref.name()}.ToString());
  }
  std::vector<v1::Event> events;
  SL_RETURN_IF_ERROR(client.Observe(request, [&](const v1::Event& event) {
    // Two policies may have one name; and an older agent does not know the filter.
    if (event.has_flow() && (resource.has_workload() || Names(event.flow(), ref))) events.push_back(event);
    return OkStatus();
  }));
  return events;
}

StatusOr<ExitCode> Describe(const AgentAddress& server, const DescribeOptions& options) {
  Client client(server);
  std::string text;
  for (const std::string& one : options.names) {
    SL_ASSIGN_OR_RETURN(const policy::ObjectName name, ParseObjectName(one, options.ns, options.configured));
    SL_ASSIGN_OR_RETURN(const auto resources, FindResources(client, options.kind, name));
    for (const v1::Resource& resource : resources) {
      std::vector<v1::Event> flows;
      if (options.flows != 0 && (resource.has_workload() || resource.has_policy())) {
        SL_ASSIGN_OR_RETURN(flows, LastFlows(client, resource, options.flows));
      }
      SL_ASSIGN_OR_RETURN(const std::string described, DescribeText(resource, flows));
      text += (text.empty() ? "" : "\n") + described;
    }
  }
  SL_RETURN_IF_ERROR(WriteOut(PrintableLines(text)));
  return ExitCode::kDone;
}

}  // namespace

void AddDescribe(CLI::App& app, CommandLine& line) {
  const auto options = std::make_shared<DescribeOptions>();
  CLI::App* verb = app.add_subcommand(
      "describe",
      "all that is known of a resource: a workload's policies and last flows; a policy's rules in words, the workloads "
      "that it selects and the flows that it decided last");
  verb->add_option("kind", options->kind,
                   "workload, pod, namespace, networkpolicy, clusternetworkpolicy, tracingpolicy, kubearmorpolicy, "
                   "response, ...")
      ->required();
  verb->add_option("name", options->names, "one or more names, also as namespace/name")->required();
  verb->add_option("-n,--namespace", options->ns, "of names without one; default: \"default\"");
  verb->add_option("--flows", options->flows, "how many flows at most; 0: none")->capture_default_str();
  verb->callback([&line, options] {
    line.run = [&line, options] {
      options->configured = line.ns;
      return Describe(line.server, *options);
    };
  });
}

}  // namespace sluice::client
