// `delete`: removes resources, each call one step.
#include "base/output.h"
#include "ctrl/sluice/changes_text.h"
#include "ctrl/sluice/client.h"
#include "ctrl/sluice/documents.h"
#include "ctrl/sluice/object_name.h"
#include "ctrl/sluice/verb.h"

namespace sluice::client {
namespace {

struct DeleteOptions {
  ResourceArgs files;
  std::string kind;
  std::vector<std::string> names;
  bool all = false;
  bool all_namespaces = false;
  bool ignore_not_found = false;
  bool dry_run = false;
};

Status CheckUse(const DeleteOptions& options) {
  if (options.files.paths.empty() == options.kind.empty()) {
    return InvalidError("delete: give either -f FILE or KIND NAME");
  }
  if (options.kind.empty() && (options.all || options.all_namespaces)) {
    return InvalidError("delete -f: --all and -A are for delete KIND");
  }
  if (!options.kind.empty() && options.names.empty() && !options.all) {
    return InvalidError("delete {0}: the name is missing: delete {0} NAME, or delete {0} --all", options.kind);
  }
  if (options.all && !options.names.empty()) return InvalidError("delete {}: give names or --all", options.kind);
  if (options.all_namespaces && !options.all) return InvalidError("delete -A: only with --all");
  return OkStatus();
}

Status FillTargets(const DeleteOptions& options, const std::string& configured, v1::DeleteRequest* request) {
  const std::string& typed = options.files.default_namespace;
  if (options.all) {
    const std::string& ns = typed.empty() ? configured : typed;
    v1::DeleteRequest::Target& target = *request->add_targets();
    target.set_kind(options.kind);
    if (!options.all_namespaces) target.set_namespace_(ns.empty() ? "default" : ns);
    target.set_all(true);
    return OkStatus();
  }
  for (const std::string& text : options.names) {
    SL_ASSIGN_OR_RETURN(const policy::ObjectName name, ParseObjectName(text, typed, configured));
    v1::DeleteRequest::Target& target = *request->add_targets();
    target.set_kind(options.kind);
    target.set_namespace_(name.ns);
    target.set_name(name.name);
  }
  return OkStatus();
}

// `ns`: for names and documents without a namespace, unless -n gives one.
StatusOr<ExitCode> Delete(const AgentAddress& server, DeleteOptions options, const std::string& ns) {
  SL_RETURN_IF_ERROR(CheckUse(options));
  v1::DeleteRequest request;
  if (options.kind.empty()) {
    if (options.files.default_namespace.empty()) options.files.default_namespace = ns;
    SL_RETURN_IF_ERROR(InFiles(FillDocuments(options.files, request.mutable_documents(), request.mutable_read())));
  } else {
    SL_RETURN_IF_ERROR(FillTargets(options, ns, &request));
  }
  request.set_ignore_not_found(options.ignore_not_found);
  request.set_dry_run(options.dry_run);
  const auto reply = Client(server).Delete(request);
  if (!reply.ok()) return options.kind.empty() ? InFiles(reply.status()) : reply.status();
  for (const std::string& notice : reply->notices()) Tell(notice);
  SL_RETURN_IF_ERROR(WriteOut(ChangesText(reply->changes(), reply->revision(), options.dry_run)));
  return ExitCode::kDone;
}

}  // namespace

void AddDelete(CLI::App& app, CommandLine& line) {
  const auto options = std::make_shared<DeleteOptions>();
  CLI::App* verb = app.add_subcommand("delete", "remove resources, by files or by name; one call is one step");
  AddResourceArgs(*verb, options->files, "; removes what they contain");
  verb->add_option(
      "kind", options->kind,
      "workload, pod, namespace, networkpolicy, clusternetworkpolicy, tracingpolicy, kubearmorpolicy, response, ...");
  verb->add_option("name", options->names, "one or more names, also as namespace/name");
  verb->add_flag("--all", options->all, "all of this kind that were applied in the namespace (-n; -A: in any)");
  verb->add_flag("-A,--all-namespaces", options->all_namespaces, "with --all: in every namespace");
  verb->add_flag("--ignore-not-found", options->ignore_not_found, "a resource that does not exist is no error");
  verb->add_flag("--dry-run", options->dry_run, "the agent says what it would remove, and changes nothing");
  verb->callback([&line, options] { line.run = [&line, options] { return Delete(line.server, *options, line.ns); }; });
}

}  // namespace sluice::client
