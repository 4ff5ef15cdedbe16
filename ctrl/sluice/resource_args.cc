#include "ctrl/sluice/resource_args.h"

#include <unistd.h>

#include <iterator>

#include "policy/kinds/kinds.h"

namespace sluice::client {
namespace {

constexpr const char* kFilesHelp =
    "file, directory of *.yaml, *.yml and *.json files, or - for standard input; several may be given";

StatusOr<std::vector<resources::ResourceFile>> Read(const std::string& path, resources::Depth depth) {
  if (path == "-") {
    SL_ASSIGN_OR_RETURN(std::string text, resources::ReadResourceText(STDIN_FILENO, "stdin"));
    return std::vector<resources::ResourceFile>{{"stdin", std::move(text)}};
  }
  SL_ASSIGN_OR_RETURN(auto files, resources::ReadResourceFiles(path, depth));
  if (files.empty()) {
    return MakeError(absl::StatusCode::kNotFound, "{}: no *.yaml, *.yml or *.json file in this directory{}", path,
                     depth == resources::Depth::kRecursive ? "" : " (-R also looks below it)");
  }
  return files;
}

}  // namespace

void AddResourceOptions(CLI::App& verb, ResourceArgs& args) {
  verb.add_option("-n,--namespace", args.default_namespace,
                  "namespace of objects and names that give none; default: \"default\"");
  verb.add_flag("-R,--recursive", args.recursive, "also read the directories below a directory");
  verb.add_flag("--skip-unknown", args.skip_unknown,
                "leave out documents that can never be policy or workload (Deployment, Service, values files, ...), "
                "with a notice; policies of unknown kinds are still errors");
  verb.add_flag("--lenient", args.lenient,
                "accept KubeArmor policies with unknown or misspelt keys: each is printed, and has no effect. Other "
                "kinds are read as without it");
}

CLI::Option* AddResourceArgs(CLI::App& verb, ResourceArgs& args, const std::string& what) {
  AddResourceOptions(verb, args);
  return verb.add_option("-f,--filename", args.paths, kFilesHelp + what);
}

policy::ParseOptions ParseOptionsOf(const ResourceArgs& args) {
  return {.default_namespace = args.default_namespace,
          .skip_unknown = args.skip_unknown,
          .more_kinds = policy::MoreKinds(policy::tracing::Reading::kCompiled),
          .lenient = args.lenient};
}

StatusOr<std::vector<resources::ResourceFile>> ReadAll(const ResourceArgs& args) {
  const auto depth = args.recursive ? resources::Depth::kRecursive : resources::Depth::kThisDirectory;
  std::vector<resources::ResourceFile> all;
  for (const std::string& path : args.paths) {
    SL_ASSIGN_OR_RETURN(auto files, Read(path, depth));
    all.insert(all.end(), std::make_move_iterator(files.begin()), std::make_move_iterator(files.end()));
  }
  return all;
}

}  // namespace sluice::client
