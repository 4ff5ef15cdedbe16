#include "ctrl/sluice/sysdump_agent.h"

#include "base/printable.h"
#include "ctrl/sluice/dump_redaction.h"
#include "ctrl/sluice/object_json.h"
#include "ctrl/sluice/status_text.h"
#include "telemetry/event/json.h"

namespace sluice::client {
namespace {

constexpr std::uint32_t kMostFlows = 2000;
constexpr std::uint32_t kMostEvents = 2000;

// As `get` and `observe` print them, so that jq reads both.
StatusOr<std::string> ToLine(const v1::Object& object) {
  if (object.has_resource()) return RedactResource(object.resource().json());
  return object.object_case() == v1::Object::OBJECT_NOT_SET ? telemetry::ToJson(object) : ToJsonLine(object);
}

std::string DumpKind(Client& client, const std::string& kind, const std::string& file, DumpDirectory& dump) {
  v1::GetRequest request;
  request.set_kind(kind);
  request.set_with_json(true);
  if (kind == "flows") request.set_limit(kMostFlows);
  std::string text;
  dump.Note(file, client.Get(request, [&](v1::Object object) -> Status {
    RedactArguments(object);
    SL_ASSIGN_OR_RETURN(const std::string line, ToLine(object));
    text += line + "\n";
    return OkStatus();
  }));
  return text;
}

void DumpEvents(Client& client, DumpDirectory& dump) {
  v1::ObserveRequest request;
  request.set_last(kMostEvents);
  std::string text;
  dump.Note("events.json", client.Observe(request, [&](v1::Event event) -> Status {
    RedactArguments(event);
    SL_ASSIGN_OR_RETURN(const std::string line, telemetry::ToJson(event));
    text += line + "\n";
    return OkStatus();
  }));
  dump.Write("events.json", text);
}

}  // namespace

StatusOr<v1::AgentStatus> DumpAgent(Client& client, DumpDirectory& dump) {
  std::string versions = "sluice " SLUICE_VERSION "\n";
  StatusOr<v1::AgentStatus> status = client.ReadStatus();
  if (status.ok()) versions += fmt::format("sluiced {}\n", Printable(status->version()));
  dump.Write("versions.txt", versions);
  dump.Note("status.json", status.status());
  if (!status.ok()) return status;
  const auto json = telemetry::ToJson(*status);
  dump.Note("status.json", json.status());
  if (json.ok()) dump.Write("status.json", *json + "\n");
  dump.Write("status.txt", StatusText(*status));
  std::string resources;
  for (const char* kind : {"namespaces", "workloads", "pods", "networkpolicies", "clusternetworkpolicies",
                           "tracingpolicies", "tracingpoliciesnamespaced", "kubearmorpolicies", "kubearmorhostpolicies",
                           "kubearmorclusterpolicies", "responses"}) {
    resources += DumpKind(client, kind, "resources.json", dump);
  }
  dump.Write("resources.json", resources);
  for (const std::string kind : {"identities", "rulesets", "processes", "flows"}) {
    dump.Write(kind + ".json", DumpKind(client, kind, kind + ".json", dump));
  }
  DumpEvents(client, dump);
  return status;
}

}  // namespace sluice::client
