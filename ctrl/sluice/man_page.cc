#include "ctrl/sluice/man_page.h"

#include <fmt/format.h>

#include <algorithm>

namespace sluice::client {
namespace {

// Escapes text for roff: a line that begins with a dot or an apostrophe would be a request.
std::string Escape(const std::string& text) {
  std::string out;
  for (const char c : text) {
    if ((c == '.' || c == '\'') && (out.empty() || out.back() == '\n')) out += "\\&";
    if (c == '\\') {
      out += "\\e";
    } else if (c == '-') {
      out += "\\-";
    } else {
      out += c;
    }
  }
  return out;
}

std::string Bold(const std::string& text) { return "\\fB" + Escape(text) + "\\fR"; }
std::string Italic(const std::string& text) { return "\\fI" + Escape(text) + "\\fR"; }
std::string Upper(std::string text) {
  std::transform(text.begin(), text.end(), text.begin(), [](unsigned char c) { return std::toupper(c); });
  return text;
}

bool IsHidden(const CLI::Option& option) { return option.get_group().empty(); }

// "-f, --filename TEXT ...", or "NAME ..." for a positional one.
std::string OptionTerm(const CLI::Option& option) {
  const bool several = option.get_items_expected_max() > 1;
  if (option.get_positional()) return Italic(Upper(option.get_name(true))) + (several ? " ..." : "");
  std::string term;
  const auto add = [&term](const std::string& name) { term += (term.empty() ? "" : ", ") + Bold(name); };
  for (const std::string& name : option.get_snames()) add("-" + name);
  for (const std::string& name : option.get_lnames()) add("--" + name);
  if (option.get_items_expected() == 0) return term;
  return term + " " + Italic(option.get_type_name()) + (several ? " ..." : "");
}

std::string OptionText(const CLI::Option& option) {
  std::string text = ".TP\n" + OptionTerm(option) + "\n" + Escape(option.get_description());
  if (option.get_required()) text += " (required)";
  if (!option.get_default_str().empty()) text += " [" + Escape(option.get_default_str()) + "]";
  if (!option.get_envname().empty()) text += "; from the environment: " + Bold(option.get_envname());
  return text + "\n";
}

std::string OptionTexts(const CLI::App& app) {
  std::string text;
  for (const CLI::Option* option : app.get_options()) {
    const bool is_help_of_verb = option == app.get_help_ptr() && app.get_parent() != nullptr;
    if (!IsHidden(*option) && !is_help_of_verb) text += OptionText(*option);
  }
  return text;
}

std::vector<const CLI::App*> VerbsOf(const CLI::App& app) {
  return app.get_subcommands([](const CLI::App* verb) { return !verb->get_group().empty(); });
}

}  // namespace

std::string ManPage(const CLI::App& app, const std::string& name, const std::string& version) {
  const std::string purpose = app.get_description();
  std::string text = fmt::format(".TH {} 1 \"\" \"{} {}\" \"User Commands\"\n", Upper(name), name, version);
  text += ".SH NAME\n" + Escape(name) + " \\- " + Escape(purpose.substr(purpose.find(": ") + 2)) + "\n";
  text += ".SH SYNOPSIS\n" + Bold(name) + " [\\fIOPTIONS\\fR] \\fIVERB\\fR [\\fIARGUMENTS\\fR]\n";
  text += ".SH OPTIONS\nThey may be given before or after the verb.\n" + OptionTexts(app);
  text += ".SH VERBS\n";
  for (const CLI::App* verb : VerbsOf(app)) {
    text += ".SS " + Escape(verb->get_name()) + "\n" + Escape(verb->get_description()) + "\n" + OptionTexts(*verb);
  }
  return text + ".SH NOTES\n" + Escape(app.get_footer()) + "\n.SH SEE ALSO\n.BR sluiced (8)\n";
}

}  // namespace sluice::client
