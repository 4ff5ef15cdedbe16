// `completion`: the verbs, options and kinds of this command line, for shells that complete words.
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>

#include "api/kinds.h"
#include "base/output.h"
#include "ctrl/sluice/verb.h"

namespace sluice::client {
namespace {

struct Word {
  std::string text;
  std::string help;  // its first line
};

std::string FirstLine(const std::string& text) { return text.substr(0, text.find('\n')); }

std::vector<Word> Options(const CLI::App& app) {
  std::vector<Word> options;
  for (const CLI::Option* option : app.get_options()) {
    for (const std::string& name : option->get_lnames()) {
      options.push_back({"--" + name, FirstLine(option->get_description())});
    }
    for (const std::string& name : option->get_snames()) {
      options.push_back({"-" + name, FirstLine(option->get_description())});
    }
  }
  return options;
}

std::vector<std::string> NamesOf(const CLI::App& verb) {
  std::vector<std::string> names{verb.get_name()};
  names.insert(names.end(), verb.get_aliases().begin(), verb.get_aliases().end());
  return names;
}

// Of its first argument; nothing where that is no kind.
std::string KindsOf(const CLI::App& verb) {
  if (verb.get_option_no_throw("kind") == nullptr) return "";
  const auto which = verb.get_name() == "get" ? api::Names::kAll : api::Names::kOfResources;
  return fmt::format("{}", fmt::join(api::KindNames(which), " "));
}

std::vector<Word> VerbWords(const CLI::App& app) {
  std::vector<Word> verbs;
  for (const CLI::App* verb : app.get_subcommands(nullptr)) {
    for (const std::string& name : NamesOf(*verb)) verbs.push_back({name, FirstLine(verb->get_description())});
  }
  return verbs;
}

std::string Join(const std::vector<Word>& words) {
  std::string text;
  for (const Word& word : words) text += (text.empty() ? "" : " ") + word.text;
  return text;
}

// In single quotes of a shell.
std::string Quote(const std::string& text) {
  std::string quoted = "'";
  for (const char c : text) quoted += c == '\'' ? std::string("'\\''") : std::string(1, c);
  return quoted + "'";
}

// What is not known, as names of files, is left to the shell's own completion.
std::string Bash(const CLI::App& app) {
  std::string cases;
  for (const CLI::App* verb : app.get_subcommands(nullptr)) {
    cases += fmt::format("    {}) words='{}' kinds='{}' ;;\n", fmt::join(NamesOf(*verb), "|"), Join(Options(*verb)),
                         KindsOf(*verb));
  }
  return fmt::format(R"(# bash completion of sluice; use: source <(sluice completion bash)
_sluice() {{
  local word verb='' kind='' words='' kinds=''
  for word in "${{COMP_WORDS[@]:1:COMP_CWORD-1}}"; do
    if [[ -z $verb ]]; then
      case " {0} " in *" $word "*) verb=$word ;; esac
    else
      case " {3} " in *" $word "*) kind=$word ;; esac
    fi
  done
  case $verb in
    '') words='{0} {1}' ;;
{2}  esac
  word=${{COMP_WORDS[COMP_CWORD]}}
  if [[ $word == -* || -z $verb ]]; then
    mapfile -t COMPREPLY < <(compgen -W "$words" -- "$word")
  elif [[ -n $kinds && -z $kind && ${{COMP_WORDS[COMP_CWORD-1]}} != -* ]]; then
    mapfile -t COMPREPLY < <(compgen -W "$kinds" -- "$word")
  fi
}}
complete -o default -F _sluice sluice
)",
                     Join(VerbWords(app)), Join(Options(app)), cases, fmt::join(api::KindNames(api::Names::kAll), " "));
}

std::string Zsh(const CLI::App& app) {
  return "#compdef sluice\n# zsh completion of sluice; use: source <(sluice completion zsh)\n"
         "autoload -U +X bashcompinit && bashcompinit\n" +
         Bash(app);
}

std::string Fish(const CLI::App& app) {
  std::string text = "# fish completion of sluice; use: sluice completion fish | source\n";
  for (const Word& verb : VerbWords(app)) {
    text += fmt::format("complete -c sluice -n __fish_use_subcommand -f -a {} -d {}\n", verb.text, Quote(verb.help));
  }
  const auto add_options = [&text](const CLI::App& of, const std::string& condition) {
    for (const Word& option : Options(of)) {
      const bool is_long = option.text.starts_with("--");
      text += fmt::format("complete -c sluice{} {} {} -d {}\n", condition, is_long ? "-l" : "-s",
                          option.text.substr(is_long ? 2 : 1), Quote(option.help));
    }
  };
  add_options(app, "");
  for (const CLI::App* verb : app.get_subcommands(nullptr)) {
    const std::string seen = fmt::format("__fish_seen_subcommand_from {}", fmt::join(NamesOf(*verb), " "));
    add_options(*verb, fmt::format(" -n '{}'", seen));
    if (const std::string kinds = KindsOf(*verb); !kinds.empty()) {
      text += fmt::format("complete -c sluice -n '{}; and not __fish_seen_subcommand_from {}' -f -a '{}'\n", seen,
                          kinds, kinds);
    }
  }
  return text;
}

}  // namespace

void AddCompletion(CLI::App& app, CommandLine& line) {
  const auto shell = std::make_shared<std::string>();
  CLI::App* verb =
      app.add_subcommand("completion", "a script that completes these words: source <(sluice completion bash)");
  verb->add_option("shell", *shell, "bash, zsh or fish")->required()->check(CLI::IsMember({"bash", "zsh", "fish"}));
  verb->callback([&app, &line, shell] {
    line.run = [&app, shell]() -> StatusOr<ExitCode> {
      SL_RETURN_IF_ERROR(WriteOut(*shell == "bash" ? Bash(app) : *shell == "zsh" ? Zsh(app) : Fish(app)));
      return ExitCode::kDone;
    };
  });
}

}  // namespace sluice::client
