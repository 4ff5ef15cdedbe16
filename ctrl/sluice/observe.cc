// `observe`: what happens, line by line.
#include <unistd.h>

#include <csignal>

#include "base/output.h"
#include "ctrl/sluice/client.h"
#include "ctrl/sluice/observe_request.h"
#include "ctrl/sluice/verb.h"
#include "telemetry/event/flow_text.h"
#include "telemetry/event/json.h"

namespace sluice::client {
namespace {

// Every line is flushed and the agent notices that the stream has ended: there is nothing left to do.
void EndAtOnce(int /*signal*/) { _exit(static_cast<int>(ExitCode::kDone)); }

Status WriteEvent(const v1::Event& event, const std::string& output) {
  const bool known = event.event_case() != v1::Event::EVENT_NOT_SET;
  if (output == "table" || !known) {
    const std::string text = telemetry::EventText(event) + "\n";
    if (known) return WriteOut(text);
    std::fputs(text.c_str(), stderr);
    return OkStatus();
  }
  SL_ASSIGN_OR_RETURN(const std::string json, telemetry::EventToJson(event));
  return WriteOut(json + "\n");
}

StatusOr<ExitCode> Observe(const AgentAddress& server, const ObserveOptions& options) {
  SL_ASSIGN_OR_RETURN(const v1::ObserveRequest request, ToRequest(options));
  std::signal(SIGINT, EndAtOnce);
  SL_RETURN_IF_ERROR(
      Client(server).Observe(request, [&](const v1::Event& event) { return WriteEvent(event, options.output); }));
  return ExitCode::kDone;
}

}  // namespace

void AddObserve(CLI::App& app, CommandLine& line) {
  const auto options = std::make_shared<ObserveOptions>();
  CLI::App* verb = app.add_subcommand("observe", "show events, newest last");
  verb->add_flag("-f,--follow", options->follow, "go on with what happens from now on, until Ctrl-C");
  verb->add_option("--last", options->last, "start with the newest N past events; default: all, with -f none");
  verb->add_option("--verdict", options->verdict, "only flows that were FORWARDED, DROPPED, or AUDIT (on trial)");
  verb->add_option("--workload", options->workload,
                   "only flows with this end and what its processes do: namespace/name");
  verb->add_option("--process", options->process, "only events of programs whose path fits this glob, and their flows");
  verb->add_option("--type", options->type,
                   "only events of this type: flow, exec, exit or fork; default: all but fork; all: fork too");
  verb->add_option("--port", options->port, "only flows with this port at either end")->check(CLI::Range(1, 65535));
  verb->add_option("-o,--output", options->output, "table (a line for people) or json (one object a line)")
      ->check(CLI::IsMember({"table", "json"}))
      ->capture_default_str();
  verb->callback([&line, options] { line.run = [&line, options] { return Observe(line.server, *options); }; });
}

}  // namespace sluice::client
