// `get`: what the agent has.
#include <unistd.h>

#include "ctrl/base/output.h"
#include "ctrl/base/printable.h"
#include "ctrl/sluice/client.h"
#include "ctrl/sluice/object_table.h"
#include "ctrl/sluice/verb.h"
#include "telemetry/json.h"

namespace sluice::client {
namespace {

struct GetOptions {
  std::string kind;
  std::string name;
  std::string ns;
  std::string output = "table";
};

v1::GetRequest MakeRequest(const GetOptions& options) {
  v1::GetRequest request;
  request.set_kind(options.kind);
  request.set_namespace_(options.ns);
  request.set_name(options.name);
  request.set_with_yaml(options.output == "yaml");
  request.set_with_json(options.output == "json");
  return request;
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

StatusOr<ExitCode> Get(const AgentAddress& server, const GetOptions& options) {
  SL_ASSIGN_OR_RETURN(const api::KindSelection selection, api::ParseKind(options.kind));
  const bool resources = selection.listing == api::Listing::kResources;
  if (!resources && options.output == "yaml") {
    return InvalidError("get {} -o yaml: only resources are YAML documents; use -o json", options.kind);
  }
  const bool chooses = resources || selection.listing == api::Listing::kProcesses;
  if (!chooses && !(options.name.empty() && options.ns.empty())) {
    return InvalidError("get {}: a name and -n choose among resources and processes; here all are listed",
                        options.kind);
  }
  const bool as_table = options.output == "table";
  std::size_t count = 0;
  std::vector<v1::Object> rows;
  SL_RETURN_IF_ERROR(Client(server).Get(MakeRequest(options), [&](const v1::Object& object) {
    count++;
    if (options.output == "json") return WriteJson(object);
    if (options.output == "yaml") return WriteYaml(object, count == 1);
    rows.push_back(object);
    return OkStatus();
  }));
  if (count == 0 && !options.name.empty()) {
    return MakeError(absl::StatusCode::kNotFound, "{} {}{}{}: there is none", options.kind, options.ns,
                     options.ns.empty() ? "" : "/", options.name);
  }
  if (!as_table) return ExitCode::kDone;
  SL_RETURN_IF_ERROR(WriteOut(ToTable(selection, rows).ToString()));
  return ExitCode::kDone;
}

}  // namespace

void AddGet(CLI::App& app, CommandLine& line) {
  const auto options = std::make_shared<GetOptions>();
  CLI::App* verb = app.add_subcommand("get", "list what the agent has");
  verb->add_option("kind", options->kind,
                   "workloads, pods, namespaces, networkpolicies, identities, rulesets, processes or flows")
      ->required();
  verb->add_option("name", options->name, "only what has this name; of processes: those of the workload");
  verb->add_option("-n,--namespace", options->ns, "only this namespace; default: all");
  verb->add_option("-o,--output", options->output, "table, json (one object a line) or yaml (resources only)")
      ->check(CLI::IsMember({"table", "json", "yaml"}))
      ->capture_default_str();
  verb->callback([&line, options] { line.run = [&line, options] { return Get(line.server, *options); }; });
}

}  // namespace sluice::client
