#include "ctrl/cni/install_command.h"

#include <getopt.h>

#include <cstdio>
#include <cstdlib>
#include <string>

#include "ctrl/cni/conf_list.h"
#include "ctrl/cni/conf_watch.h"
#include "ctrl/cni/installer.h"

namespace sluice::cni {
namespace {

constexpr const char* kUsage =
    R"(sluice-cni is Sluice's CNI plugin. Container runtimes start it without arguments; people run

  sluice-cni install [OPTIONS]     copy it into the plugins' directory, and put its entry into the
                                   network configuration that the runtime uses
  sluice-cni uninstall [OPTIONS]   take the entry out, then remove the copy
  sluice-cni --version

Options of both:
  --conf-dir DIR            network configurations (/etc/cni/net.d)
  --bin-dir DIR             plugins (/opt/cni/bin)
of install:
  --watch                   stay, and put the entry back when another installer overwrites it
  --drop-in                 write CONF_DIR/NETWORK/50-sluice.conf, and leave the configuration as it
                            is: for runtimes with libcni 1.3 or newer (containerd 2.1); older ones
                            ignore that file
  --socket PATH             the agent's socket (/run/sluice/cni.sock)
  --timeout SECONDS         how long a new pod waits for the agent (60)
  --when-agent-away fail|closed
                            fail: new pods do not start until the agent is back; closed: they start,
                            without any traffic until then
  --directory DIR           what is left for an agent that is away (/run/sluice/cni)
  --log FILE                one line for each call
of uninstall:
  --keep-binary             CRI-O ends pods with the configuration that they were started with: keep
                            the copy until these are gone
)";

enum Option { kConfDir = 1, kBinDir, kWatch, kDropIn, kSocket, kTimeout, kWhenAway, kDirectory, kLogFile, kKeep };

constexpr option kOptions[] = {{"conf-dir", required_argument, nullptr, kConfDir},
                               {"bin-dir", required_argument, nullptr, kBinDir},
                               {"watch", no_argument, nullptr, kWatch},
                               {"drop-in", no_argument, nullptr, kDropIn},
                               {"socket", required_argument, nullptr, kSocket},
                               {"timeout", required_argument, nullptr, kTimeout},
                               {"when-agent-away", required_argument, nullptr, kWhenAway},
                               {"directory", required_argument, nullptr, kDirectory},
                               {"log", required_argument, nullptr, kLogFile},
                               {"keep-binary", no_argument, nullptr, kKeep},
                               {nullptr, 0, nullptr, 0}};

int WrongArgument(const std::string& text) {
  std::fputs(("sluice-cni: " + text + "; see sluice-cni --help\n").c_str(), stderr);
  return 2;
}

struct Arguments {
  InstallOptions options;
  bool watch = false;
};

// Empty: they are right.
std::string ReadArguments(int argc, char** argv, bool is_install, Arguments& arguments) {
  InstallOptions& options = arguments.options;
  options.entry = {{"type", kPluginType}};
  optind = 2;
  opterr = 0;
  int index = 0;
  for (int which = 0; (which = getopt_long(argc, argv, ":", kOptions, &index)) != -1;) {
    if (which == ':') return std::string(argv[optind - 1]) + " needs a value";
    if (which == '?') return std::string("unknown option ") + argv[optind - 1];
    const std::string value = optarg == nullptr ? "" : optarg;
    const bool is_path =
        which == kConfDir || which == kBinDir || which == kSocket || which == kDirectory || which == kLogFile;
    if (is_path && !value.starts_with('/')) return fmt::format("--{} needs an absolute path", kOptions[index].name);
    const bool of_both = which == kConfDir || which == kBinDir;
    if (!of_both && (which == kKeep) == is_install) {
      return fmt::format("--{} is no option of {}", kOptions[index].name, argv[1]);
    }
    char* end = nullptr;
    switch (which) {
      case kConfDir:
        options.conf_dir = value;
        break;
      case kBinDir:
        options.bin_dir = value;
        break;
      case kWatch:
        arguments.watch = true;
        break;
      case kDropIn:
        options.drop_in = true;
        break;
      case kKeep:
        options.keep_binary = true;
        break;
      case kSocket:
        options.entry["socket"] = value;
        break;
      case kTimeout: {
        const long seconds = std::strtol(value.c_str(), &end, 10);
        if (value.empty() || *end != '\0' || seconds < 1 || seconds > 600) {
          return "--timeout needs a number of seconds from 1 to 600";
        }
        options.entry["timeout"] = seconds;
        break;
      }
      case kWhenAway:
        if (value != "fail" && value != "closed") return "--when-agent-away is fail or closed";
        options.entry["whenAgentAway"] = value;
        break;
      case kDirectory:
        options.entry["directory"] = value;
        break;
      case kLogFile:
        options.entry["log"] = value;
        break;
      default:
        break;
    }
  }
  return optind < argc ? std::string("unexpected argument ") + argv[optind] : "";
}

}  // namespace

int RunInstallCommand(int argc, char** argv) {
  const std::string verb = argv[1];
  if (verb == "--help" || verb == "-h" || verb == "help") {
    std::fputs(kUsage, stdout);
    return 0;
  }
  if (verb == "--version") {
    std::puts("sluice-cni " SLUICE_VERSION ", CNI 0.3.1 to 1.1.0");
    return 0;
  }
  if (verb != "install" && verb != "uninstall") return WrongArgument("unknown command " + verb);
  Arguments arguments;
  const bool is_install = verb == "install";
  if (const std::string wrong = ReadArguments(argc, argv, is_install, arguments); !wrong.empty()) {
    return WrongArgument(wrong);
  }
  if (arguments.watch) {
    const Status kept = KeepInstalled(arguments.options);
    if (!kept.ok()) std::fputs(("sluice-cni: " + Message(kept) + "\n").c_str(), stderr);
    return kept.ok() ? 0 : 1;
  }
  const auto changes = is_install ? Install(arguments.options) : Uninstall(arguments.options);
  if (!changes.ok()) {
    std::fputs(("sluice-cni: " + Message(changes.status()) + "\n").c_str(), stderr);
    return 1;
  }
  for (const std::string& change : *changes) std::puts(change.c_str());
  if (changes->empty()) std::puts("nothing to do");
  return 0;
}

}  // namespace sluice::cni
