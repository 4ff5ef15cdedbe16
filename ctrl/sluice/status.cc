// `status`: is enforcement in place, and how does the agent fare?
#include "base/output.h"
#include "ctrl/sluice/client.h"
#include "ctrl/sluice/status_text.h"
#include "ctrl/sluice/verb.h"
#include "telemetry/event/json.h"

namespace sluice::client {
namespace {

StatusOr<ExitCode> ShowStatus(const AgentAddress& server, const std::string& output) {
  SL_ASSIGN_OR_RETURN(const v1::AgentStatus status, Client(server).ReadStatus());
  if (output == "json") {
    SL_ASSIGN_OR_RETURN(const std::string json, telemetry::ToJson(status));
    SL_RETURN_IF_ERROR(WriteOut(json + "\n"));
  } else {
    SL_RETURN_IF_ERROR(WriteOut(StatusText(status)));
  }
  if (status.ready()) return ExitCode::kDone;
  return Status(absl::StatusCode::kUnavailable, NotReadyText(status));
}

}  // namespace

void AddStatus(CLI::App& app, CommandLine& line) {
  const auto output = std::make_shared<std::string>("table");
  CLI::App* verb = app.add_subcommand("status", "the agent's health; exit 0 only when enforcement is in place");
  verb->add_option("-o,--output", *output, "table (text) or json")
      ->check(CLI::IsMember({"table", "json"}))
      ->capture_default_str();
  verb->callback([&line, output] { line.run = [&line, output] { return ShowStatus(line.server, *output); }; });
}

}  // namespace sluice::client
