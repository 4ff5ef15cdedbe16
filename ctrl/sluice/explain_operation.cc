#include "ctrl/sluice/explain_operation.h"

#include "base/output.h"
#include "ctrl/explain/operation.h"
#include "ctrl/sluice/explain_text.h"
#include "ctrl/sluice/offline.h"
#include "telemetry/event/json.h"

namespace sluice::client {
namespace {

explain::AskedNode NodeOf(const OperationOptions& options) {
  explain::AskedNode node{.name = options.node, .labels = {}};
  if (options.node_labels.empty()) return node;
  node.labels.emplace();
  for (const std::string& label : options.node_labels) {
    const std::size_t equals = label.find('=');  // checked
    (*node.labels)[label.substr(0, equals)] = label.substr(equals + 1);
  }
  return node;
}

StatusOr<v1::OperationExplanation> AskFiles(const OperationContext& context, const explain::AskedNode& node,
                                            v1::ExplainOperationRequest request) {
  SL_ASSIGN_OR_RETURN(const auto files, InFiles(ReadAll(context.resources)));
  const OfflineResources read = ReadOffline(files, context.resources);
  if (!read.problems.empty()) {
    return MakeError(absl::StatusCode::kFailedPrecondition, "{}", fmt::join(read.problems, "\n"));
  }
  for (const std::string& notice : read.notices) Tell(notice);
  request.set_from(PodsOf(read.resources, request.from()));
  return explain::ExplainOperation(read.resources, node, request);
}

}  // namespace

void AddOperationOptions(CLI::App& verb, OperationOptions& options) {
  CLI::Option* exec = verb.add_option("--exec", options.exec,
                                      "instead of a flow: may a process of --from (of the program --process) execute "
                                      "this program?");
  CLI::Option* open = verb.add_option("--open", options.open,
                                      "instead of a flow: may a process of --from (of the program --process) open this "
                                      "file? A directory ends with \"/\"")
                          ->excludes(exec);
  verb.add_flag("--write", options.write, "with --open: for writing")->needs(open);
  verb.add_option("--argument", options.arguments,
                  "with --exec: an argument, without the program's name; repeatable; default: it has none")
      ->needs(exec)
      ->allow_extra_args(false);
  verb.add_option("--container", options.container, "with --exec or --open: the container of --from, by its name");
  verb.add_option("--uid", options.uid, "with --exec or --open: the user as which the process runs")
      ->capture_default_str();
  verb.add_option("--owner", options.owner, "with --exec or --open: the user who owns the file")->capture_default_str();
  verb.add_flag("--terminal", options.terminal, "with --exec or --open: the process has a terminal");
  verb.add_option("--node", options.node,
                  "with --resources and --from node: the node's name, for policies that name nodes");
  verb.add_option("--node-label", options.node_labels,
                  "with --resources and --from node: a label of the node, for policies that select nodes by labels; "
                  "repeatable")
      ->check(
          [](const std::string& text) {
            const std::size_t equals = text.find('=');
            return equals != std::string::npos && equals != 0 ? "" : "expected KEY=VALUE, not " + text;
          },
          "KEY=VALUE")
      ->allow_extra_args(false);
}

StatusOr<ExitCode> ExplainOperation(const AgentAddress& server, const OperationOptions& options,
                                    const OperationContext& context) {
  if (context.from.empty()) {
    return InvalidError("explain: --from is missing: name the workload, or node, whose process does it");
  }
  v1::ExplainOperationRequest request;
  request.set_from(context.from);
  request.set_container(options.container);
  request.set_program(context.process);
  request.set_uid(options.uid);
  request.set_owner(options.owner);
  request.set_terminal(options.terminal);
  if (!options.exec.empty()) {
    request.mutable_execute()->set_path(options.exec);
    request.mutable_execute()->mutable_arguments()->Assign(options.arguments.begin(), options.arguments.end());
  } else {
    request.mutable_open()->set_path(options.open);
    request.mutable_open()->set_writes(options.write);
  }
  SL_ASSIGN_OR_RETURN(const v1::OperationExplanation explanation, context.resources.paths.empty()
                                                                      ? Client(server).ExplainOperation(request)
                                                                      : AskFiles(context, NodeOf(options), request));
  if (context.output == "json") {
    SL_ASSIGN_OR_RETURN(const std::string json, telemetry::ToJson(explanation));
    SL_RETURN_IF_ERROR(WriteOut(json + "\n"));
  } else {
    SL_RETURN_IF_ERROR(WriteOut(OperationText(explanation)));
  }
  return explanation.allowed() ? ExitCode::kDone : ExitCode::kDenied;
}

}  // namespace sluice::client
