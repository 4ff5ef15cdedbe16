// Flows and other events for people; telemetry/event/json.h has them for programs. Pure.
#pragma once

#include <string>

#include "api/sluice.pb.h"
#include "base/table.h"

namespace sluice::telemetry {

// "2026-07-01T10:00:00.123Z".
std::string TimeText(const google::protobuf::Timestamp& time);

// "shop/db ingress[0] ALLOW", "shop/default-deny egress DEFAULT_DENY", "shop/trial egress[0] AUDIT (would DENY)".
std::string PolicyText(const v1::PolicyRef& ref);
// "shop/web egress[0]: in shop/web-0 /usr/bin/python3 is a symbolic link or below one: no program has that path; name
// /usr/bin/python3.11".
std::string LinkText(const v1::ProgramLink& link);
// All of the flow's policies, by commas. "no policy isolates" for what passed without any.
std::string PoliciesText(const v1::Flow& flow);

// "shop/web-0:40112"; what is no workload by its address: "[fd00::9]:443 (world)".
std::string SourceText(const v1::Flow& flow);
std::string DestinationText(const v1::Flow& flow);

// One line, without its end, that no terminal obeys. An event of a newer agent is shown as such.
std::string EventText(const v1::Event& event);

// Flows as rows: verdict, ends, traffic, policies.
Table MakeFlowTable();
void AddFlow(const v1::Flow& flow, Table* table);

}  // namespace sluice::telemetry
