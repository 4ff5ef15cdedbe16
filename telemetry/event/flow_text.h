// Flows and other events as text for people; telemetry/event/json.h is for programs. Pure.
#pragma once

#include <string>

#include "api/sluice.pb.h"
#include "base/table.h"

namespace sluice::telemetry {

// "shop/db"; "guard" of a policy of the whole cluster.
std::string PolicyName(const v1::PolicyRef& ref);
// "shop/db ingress[0] ALLOW", "shop/default-deny egress DEFAULT_DENY", "shop/trial egress[0] AUDIT (would DENY)".
std::string PolicyText(const v1::PolicyRef& ref);
// "shop/web egress[0]: in shop/web-0 /usr/bin/python3 is a symbolic link or below one: no program has that path; name
// /usr/bin/python3.11".
std::string LinkText(const v1::ProgramLink& link);
// All of the flow's policies, with commas. Without policies: "no policy isolates" if it passed, else the meaning of the
// drop reason.
std::string PoliciesText(const v1::Flow& flow);

// "shop/web-0:40112", or the address if it is not a workload: "[fd00::9]:443 (world)".
std::string SourceText(const v1::Flow& flow);
std::string DestinationText(const v1::Flow& flow);

// "POLICY_DENIED: Denied by policy: ...": a drop reason with its sentence.
std::string ReasonText(const std::string& drop_reason);

// kWide also shows a drop reason's sentence, interface, identities, labels, flags and traffic.
enum class TextForm { kCompact, kWide };

// One line without a line feed; control characters are escaped. An unknown event says that the agent is newer.
// `shown_time`: the time for the first column, if not the event's own; the event's own is then at the end.
std::string EventText(const v1::Event& event, TextForm form = TextForm::kCompact,
                      const google::protobuf::Timestamp* shown_time = nullptr);

// Flows as rows: verdict, ends, traffic, policies.
Table MakeFlowTable();
void AddFlow(const v1::Flow& flow, Table* table);

}  // namespace sluice::telemetry
