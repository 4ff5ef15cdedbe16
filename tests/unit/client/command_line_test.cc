// The command line itself: errors of usage, help, version, completion.
#include "tests/unit/client/client_program.h"

namespace sluice::test {
namespace {

using testing::AllOf;
using testing::HasSubstr;
using testing::StartsWith;

TEST_F(ClientProgram, UsageErrorsAreNotSent) {
  agent_.Start();
  const std::vector<Arguments> wrong = {
      {},
      {"frobnicate"},
      {"apply"},
      {"apply", "--frobnicate", "-f", "-"},
      {"delete"},
      {"delete", "pod"},
      {"delete", "pod", "a", "-f", "-"},
      {"get"},
      {"get", "frobs"},
      {"get", "pods", "-o", "xml"},
      {"get", "flows", "-o", "yaml"},
      {"get", "flows", "name"},
      {"get", "identities", "-n", "shop"},
      {"explain", "--from", "a/b", "--to", "c/d"},
      {"explain", "--from", "a/b", "--to", "c/d", "--port", "99999/TCP"},
      {"explain", "--from", "a/b", "--to", "c/d", "--port", "80/GRE"},
      {"explain", "--from", "a/b", "--to", "c/d", "--port", "80", "-o", "yaml"},
      {"explain", "--from", "a/b", "--to", "c/d", "--port", "80", "--ancestor", "/a"},
      {"observe", "--verdict", "MAYBE"},
      {"observe", "--type", "frob"},
      {"observe", "--port", "70000"},
      {"observe", "--port", "0"},
      {"observe", "--last", "-1"},
      {"observe", "--workload", "web-0"},
      {"observe", "--not"},
      {"observe", "--all", "--last", "3"},
      {"observe", "-n", "shop", "-A"},
      {"observe", "--drop-reason", "POLICY_DENYED"},
      {"observe", "--since", "soon"},
      {"observe", "-o", "xml"},
      {"observe", "--fields", "time"},
      {"observe", "-o", "json", "--fields", "frob"},
      {"status", "-o", "yaml"},
      {"replay", "--pcap", "x"},
      {"uninstall", "now"},
  };
  for (const Arguments& arguments : wrong) {
    const auto result = Run(arguments);
    EXPECT_EQ(result.exit_code, 2) << testing::PrintToString(arguments) << "\n" << result.output;
    EXPECT_NE(result.output, "") << testing::PrintToString(arguments);
  }
  EXPECT_FALSE(agent_.WasAsked());
}

TEST_F(ClientProgram, HelpIsNoError) {
  EXPECT_EQ(Run({"--help"}).exit_code, 0);
  for (const char* verb : {"apply", "delete", "get", "explain", "observe", "status", "replay", "uninstall"}) {
    EXPECT_EQ(Run({verb, "--help"}).exit_code, 0) << verb;
  }
}

TEST_F(ClientProgram, TheServerMayComeFromTheEnvironmentAndBeAPath) {
  agent_.state.set_version("0.9");
  agent_.Start();
  const std::string path = agent_.address().substr(std::string("unix://").size());
  const auto by_path = RunAt(path, {"version"});
  EXPECT_EQ(by_path.exit_code, 0) << by_path.output;
  EXPECT_THAT(by_path.output, HasSubstr("sluiced 0.9\n"));
  const auto by_environment = RunCommand({"env", "SLUICE_SERVER=" + path, Program(), "version"});
  ASSERT_TRUE(by_environment.ok());
  EXPECT_THAT(by_environment->output, HasSubstr("sluiced 0.9\n"));
  // What is typed wins.
  const auto typed = RunCommand({"env", "SLUICE_SERVER=/nowhere", Program(), "--server", agent_.address(), "version"});
  EXPECT_EQ(typed->exit_code, 0) << typed->output;
}

TEST_F(ClientProgram, VersionOfTheClientNeedsNoAgent) {
  for (const Arguments& arguments : {Arguments{"--version"}, Arguments{"version", "--client"}}) {
    const auto result = RunAt("unix:///nowhere", arguments);
    EXPECT_EQ(result.exit_code, 0);
    EXPECT_THAT(result.output, StartsWith("sluice 0."));
  }
  EXPECT_EQ(RunAt("unix:///nowhere", {"version"}).exit_code, 1);
}

TEST_F(ClientProgram, HelpIsAVerbToo) {
  EXPECT_THAT(RunAt("unix:///nowhere", {"help"}).output, HasSubstr("quarantine"));
  const auto observe = RunAt("unix:///nowhere", {"help", "observe"});
  EXPECT_EQ(observe.exit_code, 0);
  EXPECT_THAT(observe.output, HasSubstr("--follow"));
  EXPECT_EQ(RunAt("unix:///nowhere", {"help", "nothing"}).exit_code, 2);
}

TEST_F(ClientProgram, AWrongVerbIsToldTheNearest) {
  const auto run = [](const std::string& verb) { return RunAt("unix:///nowhere", {verb, "-f", "x"}); };
  EXPECT_EQ(run("aply").exit_code, 2);
  EXPECT_EQ(run("aply").output, "sluice: aply: there is no such verb; did you mean apply?\n");
  EXPECT_THAT(run("obs").output, HasSubstr("did you mean observe?"));
  EXPECT_THAT(run("frobnicate").output, HasSubstr("`sluice help` lists them"));
  EXPECT_THAT(RunAt("unix:///nowhere", {}).output, HasSubstr("subcommand is required"));
}

TEST_F(ClientProgram, CompletionCompletesVerbsAndOptions) {
  const auto complete = [](const std::string& words) {
    const auto result = RunCommand(
        {"bash", "-c",
         "source <(\"$0\" completion bash); read -ra COMP_WORDS <<<\"$1\"; COMP_CWORD=$((${#COMP_WORDS[@]}-1)); "
         "_sluice; echo \"${COMPREPLY[*]}\"",
         Program(), words});
    EXPECT_TRUE(result.ok());
    return result.ok() ? result->output : "";
  };
  EXPECT_EQ(complete("sluice ob"), "observe\n");
  EXPECT_THAT(complete("sluice --server x get --out"), HasSubstr("--output"));
  EXPECT_EQ(complete("sluice explain --fr"), "--from\n");
  EXPECT_EQ(complete("sluice apply fi"), "\n") << "the shell's own";
  EXPECT_EQ(complete("sluice val"), "validate\n") << "an alias of check";
  EXPECT_THAT(complete("sluice validate --skip"), HasSubstr("--skip-unknown"));
  EXPECT_EQ(complete("sluice get netp"), "netpol\n");
  EXPECT_EQ(complete("sluice get --server x po"), "pods pod po\n");
  EXPECT_EQ(complete("sluice get fl"), "flows flow\n");
  EXPECT_EQ(complete("sluice delete fl"), "\n") << "flows cannot be deleted";
  EXPECT_EQ(complete("sluice delete -f po"), "\n") << "a file";
  EXPECT_EQ(complete("sluice get pods po"), "\n") << "a name";
  EXPECT_THAT(RunAt("unix:///nowhere", {"completion", "fish"}).output,
              AllOf(HasSubstr("complete -c sluice -n __fish_use_subcommand -f -a apply -d "),
                    HasSubstr("complete -c sluice -n __fish_use_subcommand -f -a validate -d "),
                    HasSubstr("__fish_seen_subcommand_from edit; and not __fish_seen_subcommand_from workloads")));
  EXPECT_THAT(RunAt("unix:///nowhere", {"completion", "zsh"}).output, StartsWith("#compdef sluice\n"));
  EXPECT_EQ(RunAt("unix:///nowhere", {"completion", "tcsh"}).exit_code, 2);
}

}  // namespace
}  // namespace sluice::test
