// `edit`: opens a resource's document in an editor, and applies it if it was changed.
#include <cstdlib>

#include "base/output.h"
#include "ctrl/sluice/changes_text.h"
#include "ctrl/sluice/find_resource.h"
#include "ctrl/sluice/object_name.h"
#include "ctrl/sluice/run_program.h"
#include "ctrl/sluice/temporary_files.h"
#include "ctrl/sluice/verb.h"
#include "policy/kinds/kinds.h"
#include "policy/resource/parser.h"
#include "policy/resource/yaml.h"
#include "telemetry/event/flow_text.h"

namespace sluice::client {
namespace {

struct EditOptions {
  std::string kind;
  std::string name;
  std::string ns;
  std::string configured;  // namespace of the configuration file
};

std::string AsComment(const std::string& text) {
  std::string comment;
  for (std::size_t begin = 0; begin < text.size();) {
    const std::size_t end = std::min(text.find('\n', begin), text.size());
    comment += "# " + text.substr(begin, end - begin) + "\n";
    begin = end + 1;
  }
  return comment;
}

std::string WithoutHeader(std::string_view text) {
  while (text.starts_with('#')) text.remove_prefix(std::min(text.size(), text.find('\n') + 1));
  return std::string(text);
}

Status Edit(const TemporaryFiles& files, const std::string& text, std::string* edited) {
  SL_ASSIGN_OR_RETURN(const std::string path, files.Write("edit.yaml", text));
  const char* editor = std::getenv("VISUAL");
  if (editor == nullptr || *editor == '\0') editor = std::getenv("EDITOR");
  if (editor == nullptr || *editor == '\0') editor = "vi";
  // By a shell: the variable may have arguments, as "code --wait".
  SL_ASSIGN_OR_RETURN(const int code, RunInTerminal({"sh", "-c", std::string(editor) + " \"$1\"", "sh", path}));
  if (code != 0) {
    return MakeError(absl::StatusCode::kAborted, "{}: the editor ended with {}; nothing was changed", editor, code);
  }
  SL_ASSIGN_OR_RETURN(*edited, files.Read("edit.yaml"));
  *edited = WithoutHeader(*edited);
  return OkStatus();
}

Status CheckSame(const std::string& text, const v1::ResourceRef& ref) {
  SL_RETURN_IF_ERROR(policy::CheckCharacters("edit", text));
  SL_ASSIGN_OR_RETURN(
      const auto parsed,
      policy::ParseResources("edit", text, {.more_kinds = policy::MoreKinds(policy::tracing::Reading::kParsed)}));
  const bool is_same = parsed.size() == 1 && ResourceName(ref) == parsed.front().id.ToString() &&
                       ref.api_version() == policy::KindApiVersion(parsed.front().id.kind);
  return is_same ? OkStatus()
                 : InvalidError("edit: this has to stay the one document {} {}; use apply for others",
                                ref.api_version(), ResourceName(ref));
}

StatusOr<v1::ApplyReply> Apply(Client& client, const std::string& text, const v1::ResourceRef& ref) {
  SL_RETURN_IF_ERROR(CheckSame(text, ref));
  v1::ApplyRequest request;
  v1::Document& document = *request.add_documents();
  document.set_origin("edit");
  document.set_yaml(text);
  return client.Apply(request);
}

StatusOr<ExitCode> EditResource(const AgentAddress& server, const EditOptions& options) {
  Client client(server);
  SL_ASSIGN_OR_RETURN(const policy::ObjectName name, ParseObjectName(options.name, options.ns, options.configured));
  SL_ASSIGN_OR_RETURN(const auto found, FindResources(client, options.kind, name));
  if (found.size() != 1) {
    return InvalidError("{} is two resources: use networkpolicies.networking.k8s.io or networkpolicies.sluice.dev",
                        ResourceName(found.front().ref()));
  }
  const v1::Resource& resource = found.front();
  SL_ASSIGN_OR_RETURN(const TemporaryFiles files, TemporaryFiles::Make());
  std::string text = resource.yaml(), refusal;
  while (true) {
    const std::string header =
        AsComment(ResourceName(resource.ref()) + ": save and end to apply it; unchanged, nothing happens.") +
        (refusal.empty() ? "" : AsComment("It was refused:\n" + refusal));
    std::string edited;
    SL_RETURN_IF_ERROR(Edit(files, header + text, &edited));
    const bool is_as_before = edited == text;
    if (is_as_before && !refusal.empty()) return MakeError(absl::StatusCode::kFailedPrecondition, "{}", refusal);
    if (is_as_before || edited == resource.yaml() || edited.find_first_not_of(" \n") == std::string::npos) {
      SL_RETURN_IF_ERROR(WriteOut(ResourceName(resource.ref()) + " unchanged\n"));
      return ExitCode::kDone;
    }
    text = std::move(edited);
    const auto reply = Apply(client, text, resource.ref());
    if (reply.ok()) {
      for (const v1::ProgramLink& link : reply->links()) Tell("sluice: warning: " + telemetry::LinkText(link));
      SL_RETURN_IF_ERROR(WriteOut(ChangesText(reply->changes(), reply->revision())));
      return ExitCode::kDone;
    }
    if (absl::IsUnavailable(reply.status())) return reply.status();
    refusal = Message(reply.status());
  }
}

}  // namespace

void AddEdit(CLI::App& app, CommandLine& line) {
  const auto options = std::make_shared<EditOptions>();
  CLI::App* verb = app.add_subcommand(
      "edit",
      "edit a resource's document in $VISUAL, $EDITOR or vi; it is applied if changed, and shown again if refused");
  verb->add_option("kind", options->kind,
                   "workload, pod, namespace, networkpolicy, tracingpolicy, kubearmorpolicy, response, ...")
      ->required();
  verb->add_option("name", options->name, "its name, also as namespace/name")->required();
  verb->add_option("-n,--namespace", options->ns, "of a name without one; default: \"default\"");
  verb->callback([&line, options] {
    line.run = [&line, options] {
      options->configured = line.ns;
      return EditResource(line.server, *options);
    };
  });
}

}  // namespace sluice::client
