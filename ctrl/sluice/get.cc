// `get`: what the agent has.
#include <unistd.h>

#include <algorithm>

#include "base/output.h"
#include "base/printable.h"
#include "ctrl/sluice/client.h"
#include "ctrl/sluice/label_selector.h"
#include "ctrl/sluice/object_table.h"
#include "ctrl/sluice/verb.h"
#include "telemetry/event/json.h"

namespace sluice::client {
namespace {

struct GetOptions {
  std::string kind;
  std::vector<std::string> names;  // also "namespace/name"
  std::string ns;
  bool all_namespaces = false;
  std::string selector;
  std::string output = "table";
};

// One for each name, or one for all.
StatusOr<std::vector<v1::GetRequest>> MakeRequests(const GetOptions& options) {
  if (options.all_namespaces && !options.ns.empty()) return InvalidError("get: give either -n or -A");
  v1::GetRequest base;
  base.set_kind(options.kind);
  base.set_namespace_(options.ns);
  base.set_with_yaml(options.output == "yaml");
  base.set_with_json(options.output == "json");
  if (options.names.empty()) return std::vector<v1::GetRequest>{base};
  std::vector<v1::GetRequest> requests;
  for (const std::string& name : options.names) {
    v1::GetRequest& request = requests.emplace_back(base);
    const std::size_t slash = name.find('/');
    if (slash != std::string::npos && !options.ns.empty() && name.substr(0, slash) != options.ns) {
      return InvalidError("get {} -n {}: two namespaces", name, options.ns);
    }
    if (slash != std::string::npos) request.set_namespace_(name.substr(0, slash));
    request.set_name(slash == std::string::npos ? name : name.substr(slash + 1));
  }
  return requests;
}

StatusOr<std::string> ToJsonLine(const v1::Object& object) {
  switch (object.object_case()) {
    case v1::Object::kResource:
      return PrintableJson(object.resource().json());
    case v1::Object::kIdentity:
      return telemetry::ToJson(object.identity());
    case v1::Object::kRuleset:
      return telemetry::ToJson(object.ruleset());
    case v1::Object::kFlow:
      return telemetry::ToJson(object.flow());
    case v1::Object::kProcess:
      return telemetry::ToJson(object.process());
    case v1::Object::OBJECT_NOT_SET:
      break;
  }
  return MakeError(absl::StatusCode::kUnimplemented, "an object of a newer agent: upgrade this program to see it");
}

Status WriteJson(const v1::Object& object) {
  SL_ASSIGN_OR_RETURN(const std::string json, ToJsonLine(object));
  return WriteOut(json + "\n");
}

Status WriteYaml(const v1::Object& object, bool first) {
  // A program gets the document as it is.
  const std::string yaml =
      isatty(STDOUT_FILENO) != 0 ? PrintableLines(object.resource().yaml()) : object.resource().yaml();
  return WriteOut((first ? "" : "---\n") + yaml + (yaml.ends_with('\n') ? "" : "\n"));
}

Status WriteName(const v1::Object& object) {
  const v1::ResourceRef& ref = object.resource().ref();
  std::string kind = ref.kind();
  std::transform(kind.begin(), kind.end(), kind.begin(), [](unsigned char c) { return std::tolower(c); });
  return WriteOut(fmt::format("{}/{}\n", kind, Printable(ref.name())));
}

bool IsSelected(const policy::Selector& selector, const v1::Object& object) {
  if (selector.requirements.empty()) return true;
  const auto& labels = object.resource().labels();
  return selector.Matches(policy::Labels(labels.begin(), labels.end()));
}

Status CheckChoice(const GetOptions& options, const api::KindSelection& selection) {
  const bool resources = selection.listing == api::Listing::kResources;
  if (!resources && (options.output == "yaml" || options.output == "name")) {
    return InvalidError("get {} -o {}: only resources have documents and names of their own; use -o json", options.kind,
                        options.output);
  }
  if (!resources && !options.selector.empty()) {
    return InvalidError("get {} -l: only resources have labels of their own", options.kind);
  }
  const bool chooses = resources || selection.listing == api::Listing::kProcesses;
  if (!chooses && !(options.names.empty() && options.ns.empty())) {
    return InvalidError("get {}: a name and -n choose among resources and processes; here all are listed",
                        options.kind);
  }
  return OkStatus();
}

StatusOr<ExitCode> Get(const AgentAddress& server, const GetOptions& options) {
  SL_ASSIGN_OR_RETURN(const api::KindSelection selection, api::ParseKind(options.kind));
  SL_RETURN_IF_ERROR(CheckChoice(options, selection));
  SL_ASSIGN_OR_RETURN(const policy::Selector selector, ParseLabelSelector(options.selector));
  SL_ASSIGN_OR_RETURN(const std::vector<v1::GetRequest> requests, MakeRequests(options));
  std::size_t count = 0;
  std::vector<v1::Object> rows;
  std::string missing;
  Client client(server);
  for (const v1::GetRequest& request : requests) {
    bool found = false;
    SL_RETURN_IF_ERROR(client.Get(request, [&](const v1::Object& object) {
      found = true;
      if (!IsSelected(selector, object)) return OkStatus();
      count++;
      if (options.output == "json") return WriteJson(object);
      if (options.output == "yaml") return WriteYaml(object, count == 1);
      if (options.output == "name") return WriteName(object);
      rows.push_back(object);
      return OkStatus();
    }));
    if (found || request.name().empty()) continue;
    missing += fmt::format("{}{} {}{}{}: there is none", missing.empty() ? "" : "\n", options.kind,
                           request.namespace_(), request.namespace_().empty() ? "" : "/", request.name());
  }
  if (!rows.empty()) SL_RETURN_IF_ERROR(WriteOut(ToTable(selection, rows).ToString()));
  if (!missing.empty()) return MakeError(absl::StatusCode::kNotFound, "{}", missing);
  if (count == 0 && options.output == "table") {
    Tell(fmt::format("no {} found{}", options.kind, options.ns.empty() ? "" : " in namespace " + options.ns));
  }
  return ExitCode::kDone;
}

}  // namespace

void AddGet(CLI::App& app, CommandLine& line) {
  const auto options = std::make_shared<GetOptions>();
  CLI::App* verb = app.add_subcommand("get", "list what the agent has");
  verb->add_option("kind", options->kind,
                   "workloads, pods, namespaces, networkpolicies, identities, rulesets, processes or flows")
      ->required();
  verb->add_option("name", options->names,
                   "only what has these names, also as namespace/name; of processes: those of the workload");
  verb->add_option("-n,--namespace", options->ns, "only this namespace; default: all");
  verb->add_flag("-A,--all-namespaces", options->all_namespaces, "all namespaces, as without -n");
  verb->add_option("-l,--selector", options->selector,
                   "only resources with these labels: app=web,tier!=db,zone in (a,b),canary,!old");
  verb->add_option("-o,--output", options->output, "table, json (one object a line), yaml or name (resources only)")
      ->check(CLI::IsMember({"table", "json", "yaml", "name"}))
      ->capture_default_str();
  verb->callback([&line, options] { line.run = [&line, options] { return Get(line.server, *options); }; });
}

}  // namespace sluice::client
