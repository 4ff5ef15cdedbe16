// `explain`: would this flow be allowed, and which policies say so?
#include "base/output.h"
#include "ctrl/sluice/client.h"
#include "ctrl/sluice/explain_drop_reason.h"
#include "ctrl/sluice/explain_operation.h"
#include "ctrl/sluice/explain_text.h"
#include "ctrl/sluice/explanation.h"
#include "ctrl/sluice/verb.h"
#include "telemetry/event/json.h"

namespace sluice::client {
namespace {

struct ExplainOptions {
  std::string from;
  std::string to;
  std::string port;
  std::string process;
  std::string listener;
  std::vector<std::string> ancestors;
  std::string output = "table";
  std::string drop_reason;
  bool all_drop_reasons = false;
  ResourceArgs resources;
  OperationOptions operation;
};

StatusOr<ExitCode> ExplainDropReason(const ExplainOptions& options) {
  SL_ASSIGN_OR_RETURN(const std::string text, options.output == "json" ? DropReasonJson(options.drop_reason)
                                                                       : DropReasonText(options.drop_reason));
  SL_RETURN_IF_ERROR(WriteOut(text));
  return ExitCode::kDone;
}

StatusOr<ExitCode> Explain(const AgentAddress& server, const ExplainOptions& options) {
  if (options.all_drop_reasons || !options.drop_reason.empty()) return ExplainDropReason(options);
  if (options.operation.asked()) {
    return ExplainOperation(
        server, options.operation,
        {.from = options.from, .process = options.process, .output = options.output, .resources = options.resources});
  }
  for (const auto& [name, value] :
       {std::pair{"--from", options.from}, {"--to", options.to}, {"--port", options.port}}) {
    if (value.empty()) return InvalidError("explain: {} is missing: give --from, --to and --port", name);
  }
  v1::ExplainRequest request;
  request.set_from(options.from);
  request.set_to(options.to);
  request.set_process(options.process);
  request.set_listener(options.listener);
  request.mutable_ancestors()->Assign(options.ancestors.begin(), options.ancestors.end());
  SL_ASSIGN_OR_RETURN(const v1::Explanation explanation,
                      AskForExplanation(server, options.resources, options.port, request));
  if (options.output == "json") {
    SL_ASSIGN_OR_RETURN(const std::string json, telemetry::ToJson(explanation));
    SL_RETURN_IF_ERROR(WriteOut(json + "\n"));
  } else {
    SL_RETURN_IF_ERROR(WriteOut(ExplanationText(explanation)));
  }
  return explanation.allowed() ? ExitCode::kDone : ExitCode::kDenied;
}

}  // namespace

void AddExplain(CLI::App& app, CommandLine& line) {
  const auto options = std::make_shared<ExplainOptions>();
  CLI::App* verb = app.add_subcommand(
      "explain", "is a flow, a program or a file allowed, and by which policies? Exit 0: allowed, 3: denied");
  verb->add_option("--from", options->from,
                   "namespace/name of a workload or pod, an IP address, `node` (this node itself), or `world`: an "
                   "outside address that is in no ipBlock except 0.0.0.0/0 and ::/0");
  verb->add_option("--to", options->to, "as --from");
  verb->add_option(
      "--port", options->port,
      "the server's port: 80/TCP, 53/UDP, 80 (TCP), ICMP, ICMPv6, or the name that --to gives it: http, dns/UDP");
  CLI::Option* process = verb->add_option(
      "--process", options->process, "path of the program, or of the script, that sends, or that executes or opens");
  verb->add_option("--ancestor", options->ancestors,
                   "path of a program or script among that process's ancestors; repeatable; default: it has none")
      ->needs(process)
      ->allow_extra_args(false);
  verb->add_option("--listener", options->listener, "path of the program, or of the script, that listens");
  AddOperationOptions(*verb, options->operation);
  AddResourceOptions(*verb, options->resources);
  verb->add_option(
      "--resources", options->resources.paths,
      "offline: evaluate the resources of this file, directory or - instead of the agent's; several may be given");
  verb->add_option("-o,--output", options->output, "table (text) or json")
      ->check(CLI::IsMember({"table", "json"}))
      ->capture_default_str();
  CLI::Option* reason = verb->add_option("--drop-reason", options->drop_reason,
                                         "instead of a flow: explain this drop reason of an event or metric");
  verb->add_flag("--drop-reasons", options->all_drop_reasons, "instead of a flow: explain all drop reasons")
      ->excludes(reason);
  verb->callback([&line, options] { line.run = [&line, options] { return Explain(line.server, *options); }; });
}

}  // namespace sluice::client
