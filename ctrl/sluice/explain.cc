// `explain`: would this flow be allowed, and which policies say so?
#include "ctrl/base/output.h"
#include "ctrl/sluice/client.h"
#include "ctrl/sluice/explain_text.h"
#include "ctrl/sluice/port.h"
#include "ctrl/sluice/verb.h"
#include "telemetry/json.h"

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
};

StatusOr<ExitCode> Explain(const AgentAddress& server, const ExplainOptions& options) {
  SL_ASSIGN_OR_RETURN(const ProtocolPort port, ParseProtocolPort(options.port));
  v1::ExplainRequest request;
  request.set_from(options.from);
  request.set_to(options.to);
  request.set_protocol(port.protocol);
  request.set_port(port.port);
  request.set_process(options.process);
  request.set_listener(options.listener);
  request.mutable_ancestors()->Assign(options.ancestors.begin(), options.ancestors.end());
  SL_ASSIGN_OR_RETURN(const v1::Explanation explanation, Client(server).Explain(request));
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
  CLI::App* verb =
      app.add_subcommand("explain", "is a flow allowed, and by which policies? Exit 0: allowed, 3: denied");
  verb->add_option("--from", options->from, "namespace/name of a workload or pod, or an IP address")->required();
  verb->add_option("--to", options->to, "likewise")->required();
  verb->add_option("--port", options->port, "of the server: 80/TCP, 53/UDP, 80 (TCP), ICMP or ICMPv6")->required();
  CLI::Option* process =
      verb->add_option("--process", options->process, "path of the program, or of the script, that sends");
  verb->add_option("--ancestor", options->ancestors,
                   "path of a program or script among that process's ancestors; repeatable; default: it has none")
      ->needs(process)
      ->allow_extra_args(false);
  verb->add_option("--listener", options->listener, "path of the program, or of the script, that listens");
  verb->add_option("-o,--output", options->output, "table (text) or json")
      ->check(CLI::IsMember({"table", "json"}))
      ->capture_default_str();
  verb->callback([&line, options] { line.run = [&line, options] { return Explain(line.server, *options); }; });
}

}  // namespace sluice::client
