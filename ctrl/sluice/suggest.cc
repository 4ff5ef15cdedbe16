// `suggest`: the policies that would allow exactly one flow, as YAML for `apply`.
#include "base/output.h"
#include "base/printable.h"
#include "ctrl/sluice/explanation.h"
#include "ctrl/sluice/verb.h"
#include "telemetry/event/json.h"

namespace sluice::client {
namespace {

struct SuggestOptions {
  std::string from;
  std::string to;
  std::string port;
  std::string process;
  std::string listener;
  std::string output = "yaml";
  ResourceArgs resources;
};

std::string Yaml(const web::Suggestions& suggestions) {
  std::string text;
  for (const web::Suggestions::Policy& one : suggestions.policies()) {
    text += (text.empty() ? "" : "---\n") + PrintableLines(one.yaml());
  }
  return text;
}

StatusOr<ExitCode> Suggest(const AgentAddress& server, const SuggestOptions& options) {
  v1::ExplainRequest request;
  request.set_from(options.from);
  request.set_to(options.to);
  request.set_process(options.process);
  request.set_listener(options.listener);
  SL_ASSIGN_OR_RETURN(const web::Suggestions suggestions,
                      AskForSuggestions(server, options.resources, options.port, request));
  if (options.output == "json") {
    SL_ASSIGN_OR_RETURN(const std::string json, telemetry::ToJson(suggestions));
    SL_RETURN_IF_ERROR(WriteOut(json + "\n"));
  } else {
    SL_RETURN_IF_ERROR(WriteOut(Yaml(suggestions)));
  }
  for (const std::string& note : suggestions.notes()) Tell(note);
  if (suggestions.explanation().allowed()) {
    Tell("it is allowed already: " + suggestions.explanation().reason());
    return ExitCode::kDone;
  }
  return suggestions.policies().empty() ? ExitCode::kDenied : ExitCode::kDone;
}

}  // namespace

void AddSuggest(CLI::App& app, CommandLine& line) {
  const auto options = std::make_shared<SuggestOptions>();
  CLI::App* verb = app.add_subcommand("suggest",
                                      "print the policies that would allow exactly one flow. Exit 0: printed, or it is "
                                      "allowed already, 3: no policy would");
  verb->add_option("--from", options->from, "namespace/name of a workload or pod, an IP address, `node` or `world`")
      ->required();
  verb->add_option("--to", options->to, "as --from")->required();
  verb->add_option("--port", options->port, "the server's port, as for explain: 80/TCP, 53/UDP, http")->required();
  verb->add_option("--process", options->process, "path of the program that sends: the rule is for this one only");
  verb->add_option("--listener", options->listener, "path of the program that listens: likewise");
  AddResourceOptions(*verb, options->resources);
  verb->add_option(
      "--resources", options->resources.paths,
      "offline: evaluate the resources of this file, directory or - instead of the agent's; several may be given");
  verb->add_option("-o,--output", options->output, "yaml, or json (with the explanation)")
      ->check(CLI::IsMember({"yaml", "json"}))
      ->capture_default_str();
  verb->callback([&line, options] { line.run = [&line, options] { return Suggest(line.server, *options); }; });
}

}  // namespace sluice::client
