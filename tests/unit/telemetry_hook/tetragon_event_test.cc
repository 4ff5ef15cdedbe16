// Lines as Tetragon's log has them.
#include "telemetry/tetragon/tetragon_event.h"

#include <absl/strings/escaping.h>
#include <gmock/gmock.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <sstream>

#include "telemetry/tetragon/tetragon_argument.h"
#include "telemetry/tetragon/tetragon_process.h"
#include "tests/unit/client/messages.h"

namespace sluice::telemetry {
namespace {

using test::FromJson;
using ::testing::HasSubstr;
using ::testing::Not;

std::string Line(const std::string& event) {
  const auto line = ToTetragonJson(FromJson<v1::Event>(event));
  EXPECT_TRUE(line.ok()) << line.status();
  return line.value_or("");
}

const std::string kContainer = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";
const std::string kProcess = R"("process": {"execId": "node-1:4242:123456789", "pid": 4242, "tid": 4243,
  "binary": "/usr/bin/cat", "arguments": ["-n", "/etc/my shadow", ""], "uid": 1000, "effectiveUid": 0,
  "startTime": "2026-03-04T05:06:07.000000001Z", "workingDirectory": "/", "parentExecId": "node-1:4200:99",
  "namespacePid": 7, "containerId": ")" +
                             kContainer + R"(", "containerName": "server"})";
const std::string kParent = R"("parent": {"execId": "node-1:4200:99", "pid": 4200, "binary": "/bin/sh",
  "arguments": ["-c", "cat"], "uid": 0, "effectiveUid": 0, "loginUid": 1000, "startTime": "2026-03-04T05:06:06Z",
  "workingDirectory": "/srv", "parentExecId": "node-1:1:5", "flags": ["STARTED_BEFORE_AGENT"], "namespacePid": 1,
  "containerId": ")" + kContainer +
                            R"("})";
const std::string kOf = R"("time": "2026-03-04T05:06:07.123456789Z", "node": "node-1", "namespace": "shop",
  "workload": "web-0", "owner": {"kind": "StatefulSet", "name": "web"}, )";

const std::string kTetragonPod = R"("pod":{"namespace":"shop","name":"web-0","container":{"id":")" + kContainer +
                                 R"(","name":"server","pid":7},"workload":"web","workload_kind":"StatefulSet"})";
const std::string kTetragonParentPod = R"("pod":{"namespace":"shop","name":"web-0","container":{"id":")" + kContainer +
                                       R"(","pid":1},"workload":"web","workload_kind":"StatefulSet"})";
const std::string kTetragonProcess =
    R"("process":{"exec_id":"bm9kZS0xOjEyMzQ1Njc4OTo0MjQy","pid":4242,"uid":0,"cwd":"/","binary":"/usr/bin/cat",)"
    R"("arguments":"-n \"/etc/my shadow\" \"\"","flags":"execve rootcwd clone",)"
    R"("start_time":"2026-03-04T05:06:07.000000001Z","auid":4294967295,)" +
    kTetragonPod + R"(,"docker":"0123456789abcdef0123456789abcde","parent_exec_id":"bm9kZS0xOjk5OjQyMDA=","tid":4243})";
const std::string kTetragonParent =
    R"("parent":{"exec_id":"bm9kZS0xOjk5OjQyMDA=","pid":4200,"uid":0,"cwd":"/srv","binary":"/bin/sh",)"
    R"("arguments":"-c cat","flags":"procFS","start_time":"2026-03-04T05:06:06Z","auid":1000,)" +
    kTetragonParentPod +
    R"(,"docker":"0123456789abcdef0123456789abcde","parent_exec_id":"bm9kZS0xOjU6MQ==","in_init_tree":true})";
const std::string kTetragonEnd = R"("node_name":"node-1","time":"2026-03-04T05:06:07.123456789Z"})";

TEST(TetragonEvent, Exec) {
  EXPECT_EQ(Line("{\"exec\": {" + kOf + kProcess + "}, " + kParent + "}"),
            "{\"process_exec\":{" + kTetragonProcess + "," + kTetragonParent + "}," + kTetragonEnd);
}

TEST(TetragonEvent, ExitBySignalAndByCode) {
  EXPECT_EQ(
      Line("{\"exit\": {" + kOf + R"("signal": "SIGKILL", "coreDumped": false, )" + kProcess + "}, " + kParent + "}"),
      "{\"process_exit\":{" + kTetragonProcess + "," + kTetragonParent +
          R"(,"signal":"SIGKILL","time":"2026-03-04T05:06:07.123456789Z"},)" + kTetragonEnd);
  EXPECT_THAT(Line("{\"exit\": {" + kOf + R"("exitCode": 3, )" + kProcess + "}}"), HasSubstr(R"("status":3,"time")"));
  EXPECT_THAT(Line("{\"exit\": {" + kOf + R"("exitCode": 0, )" + kProcess + "}}"), Not(HasSubstr("status")));
}

TEST(TetragonEvent, Kprobe) {
  const std::string hook = R"("kind": "FUNCTION", "function": "security_file_permission", "arguments": [
      {"type": "file", "file": {"path": "/etc/shadow", "permissions": "-rw-r-----"}}, {"type": "int", "int32Value": 4}],
    "returnValue": {"type": "int", "int32Value": 0}, "actions": ["POST", "SIGNAL"], "signal": "SIGKILL",
    "policy": {"kind": "TracingPolicy", "name": "guard"}, "selector": "selectors[0]", "message": "no", "tags": ["a"],
    "kernelStack": [{"symbol": "vfs_read", "offset": "17"}], )";
  EXPECT_EQ(Line("{\"hook\": {" + kOf + hook + kProcess + "}, " + kParent + "}"),
            "{\"process_kprobe\":{" + kTetragonProcess + "," + kTetragonParent +
                R"(,"function_name":"security_file_permission","args":[{"file_arg":{"path":"/etc/shadow",)"
                R"("permission":"-rw-r-----"}},{"int_arg":4}],"return":{"int_arg":0},"action":"KPROBE_ACTION_SIGKILL",)"
                R"("kernel_stack_trace":[{"offset":"17","symbol":"vfs_read"}],"policy_name":"guard",)"
                R"("return_action":"KPROBE_ACTION_POST","message":"no","tags":["a"]},)" +
                kTetragonEnd);
}

TEST(TetragonEvent, SystemCallsHaveTheKernelsPrefix) {
  const std::string line = Line("{\"hook\": {" + kOf +
                                R"("kind": "SYSCALL", "function": "openat", "arguments": [{"type": "string",
    "text": "/etc/passwd", "label": "path"}], "actions": ["POST", "OVERRIDE"], "error": "EPERM", "monitor": true,
    "policy": {"namespace": "shop", "name": "p"}, )" +
                                kProcess + "}}");
#if defined(__x86_64__)
  EXPECT_THAT(line, HasSubstr(R"("function_name":"__x64_sys_openat")"));
#endif
  EXPECT_THAT(line, HasSubstr(R"("args":[{"string_arg":"/etc/passwd","label":"path"}])"));
  EXPECT_THAT(line, HasSubstr(R"("action":"KPROBE_ACTION_POST","policy_name":"p"})")) << "nothing was done";
  EXPECT_THAT(line, HasSubstr(R"("parent":{"exec_id":"bm9kZS0xOjk5OjQyMDA=","pid":4200})")) << "all that is known";
}

TEST(TetragonEvent, TracepointAndLsm) {
  const auto with = [](const std::string& kind) {
    return Line("{\"hook\": {" + kOf + R"("kind": ")" + kind + R"(", "group": "raw_syscalls", "function": "sys_enter",
      "arguments": [{"type": "syscall64", "uint64Value": "257"}], "actions": ["POST"], "policy": {"name": "p"}, )" +
                kProcess + "}}");
  };
  for (const char* kind : {"TRACEPOINT", "RAW_TRACEPOINT"}) {
    EXPECT_THAT(with(kind), HasSubstr(R"({"process_tracepoint":{)"));
    EXPECT_THAT(with(kind),
                HasSubstr(R"("subsys":"raw_syscalls","event":"sys_enter","args":[{"syscall_id":{"id":257,)"));
    EXPECT_THAT(with(kind), HasSubstr(R"("policy_name":"p","action":"KPROBE_ACTION_POST"},)"));
  }
  EXPECT_THAT(with("LSM"), HasSubstr(R"({"process_lsm":{)"));
  EXPECT_THAT(with("LSM"), HasSubstr(R"("function_name":"sys_enter","policy_name":"p","args":[)"));
}

TEST(TetragonEvent, UprobeAndUsdt) {
  const std::string rest = R"("arguments": [{"type": "int", "int32Value": 7}], "actions": ["POST"],
    "policy": {"name": "p"}, "message": "m", "tags": ["t"])";
  const std::string common = R"("policy_name":"p","message":"m","args":[{"int_arg":7}],"tags":["t"],)";
  EXPECT_EQ(Line("{\"hook\": {" + kOf + kProcess + R"(, "kind": "UPROBE", "group": "/bin/bash", "function": "readline",
    "data": [{"type": "int", "int32Value": 8}], )" +
                 rest + "}, " + kParent + "}"),
            "{\"process_uprobe\":{" + kTetragonProcess + "," + kTetragonParent +
                R"(,"path":"/bin/bash","symbol":"readline",)" + common +
                R"("action":"KPROBE_ACTION_POST","data":[{"int_arg":8}]},)" + kTetragonEnd);
  EXPECT_THAT(Line("{\"hook\": {" + kOf + kProcess + R"(, "kind": "UPROBE", "group": "/bin/bash",
    "function": "0x1f40", )" +
                   rest + "}}"),
              HasSubstr(R"("offset":"8000")"));
  EXPECT_EQ(Line("{\"hook\": {" + kOf + kProcess + R"(, "kind": "USDT", "group": "/lib/libc.so.6",
    "function": "libc:memory_mallopt", )" +
                 rest + "}, " + kParent + "}"),
            "{\"process_usdt\":{" + kTetragonProcess + "," + kTetragonParent +
                R"(,"path":"/lib/libc.so.6","provider":"libc","name":"memory_mallopt",)" + common +
                R"("action":"KPROBE_ACTION_POST"},)" + kTetragonEnd);
}

TEST(TetragonEvent, OfSeveralActionsTheHardest) {
  const auto action = [](const std::string& actions, const std::string& signal) {
    const auto event = ToTetragon(FromJson<v1::Event>("{\"hook\": {\"kind\": \"FUNCTION\", \"actions\": [" + actions +
                                                      "], \"signal\": \"" + signal + "\"}}"));
    return tetragon::KprobeAction_Name(event->process_kprobe().action());
  };
  EXPECT_EQ(action(R"("POST")", ""), "KPROBE_ACTION_POST");
  EXPECT_EQ(action(R"("POST", "OVERRIDE", "SIGNAL")", "SIGKILL"), "KPROBE_ACTION_SIGKILL");
  EXPECT_EQ(action(R"("POST", "SIGNAL")", "SIGTERM"), "KPROBE_ACTION_SIGNAL");
  EXPECT_EQ(action(R"("POST", "OVERRIDE", "TRACK_SOCKET")", ""), "KPROBE_ACTION_OVERRIDE");
  EXPECT_EQ(action(R"("QUARANTINE", "POST")", ""), "KPROBE_ACTION_POST") << "Tetragon has no quarantine";
}

TEST(TetragonEvent, WhatTetragonDoesNotHaveIsLeftOut) {
  EXPECT_EQ(Line(R"({"flow": {"type": "flow"}})"), "");
  EXPECT_EQ(Line(R"({"fork": {"type": "fork"}})"), "");
  EXPECT_EQ(Line(R"({"change": {"type": "change"}})"), "");
  EXPECT_EQ(Line(R"({"lost": {"type": "lost", "count": "3", "event": "flow"}})"), "");
  EXPECT_EQ(Line(R"({"lost": {"node": "n", "count": "3", "event": "exec", "cause": "PROCESS_RING_FULL"}})"),
            R"({"node_name":"n","rate_limit_info":{"number_of_dropped_process_events":"3"}})");
}

TEST(TetragonEvent, AHostProcessHasNoPod) {
  const std::string line = Line(R"({"exec": {"node": "n", "process": {"execId": "n:1:0", "pid": 1, "uid": 0,
    "effectiveUid": 0, "binary": "/sbin/init"}}})");
  EXPECT_EQ(line, R"({"process_exec":{"process":{"exec_id":"bjowOjE=","pid":1,"uid":0,"binary":"/sbin/init",)"
                  R"("flags":"execve nocwd","auid":4294967295,"in_init_tree":false}},"node_name":"n"})");
}

TEST(TetragonEvent, AnExportFileHasOnlySuchEvents) {
  std::string path = "/tmp/sluice-tetragon-XXXXXX";
  ASSERT_NE(mkdtemp(path.data()), nullptr);
  EventHub hub({.node = "n"}, [](bool) {});
  EventExport::Options options{.node = "n", .file = {.path = path + "/events"}};
  ExportAsTetragon(&options);
  auto exporting = EventExport::Start(std::move(options), &hub);
  ASSERT_TRUE(exporting.ok()) << exporting.status();
  EXPECT_TRUE(hub.wants_parents());
  for (const char* event : {R"({"flow": {"type": "flow"}})", R"({"exec": {"type": "exec", "node": "n"}})",
                            R"({"fork": {"type": "fork"}})", R"({"change": {"type": "change"}})",
                            R"({"hook": {"type": "hook", "node": "n", "kind": "LSM", "function": "file_open"}})"}) {
    hub.Publish(std::make_shared<const v1::Event>(FromJson<v1::Event>(event)));
  }
  hub.Close();
  exporting->reset();
  std::ostringstream text;
  text << std::ifstream(path + "/events").rdbuf();
  std::filesystem::remove_all(path);
  EXPECT_EQ(text.str(), R"({"process_exec":{"process":{"pid":0,"flags":"execve nocwd"}},"node_name":"n"})"
                        "\n"
                        R"({"process_lsm":{"process":{"pid":0,"flags":"execve nocwd"},"function_name":"file_open",)"
                        R"("action":"KPROBE_ACTION_POST"},"node_name":"n"})"
                        "\n");
}

TEST(TetragonProcess, AParentOutsideTheWorkloadHasNoPod) {
  const auto parent_has_pod = [](const std::string& process, const std::string& parent) {
    const auto event = FromJson<v1::Event>(R"({"exec": {"namespace": "shop", "workload": "web-0", "process": )" +
                                           process + R"(}, "parent": )" + parent + "}");
    EXPECT_TRUE(ToTetragon(event)->process_exec().process().has_pod());
    return ToTetragon(event)->process_exec().parent().has_pod();
  };
  const std::string in_netns = R"({"cgroupId": "7", "namespaces": {"net": 5}})";
  EXPECT_TRUE(parent_has_pod(in_netns, in_netns));
  EXPECT_FALSE(parent_has_pod(in_netns, R"({"cgroupId": "7", "namespaces": {"net": 6}})"));
  EXPECT_FALSE(parent_has_pod(in_netns, R"({"cgroupId": "8", "namespaces": {"net": 5}})"));
  EXPECT_FALSE(parent_has_pod("{}", "{}")) << "nothing is known";
  EXPECT_TRUE(parent_has_pod(R"({"containerId": "a"})", R"({"containerId": "a"})"));
  EXPECT_FALSE(parent_has_pod(R"({"containerId": "a", "namespaces": {"net": 5}})", in_netns)) << "a runtime's shim";
}

TEST(TetragonProcess, AProcessOfWhichLittleIsKnown) {
  tetragon::Process out;
  FillTetragonProcess(FromJson<v1::Process>(R"({"pid": 9, "flags": ["INCOMPLETE"]})"), nullptr, &out);
  EXPECT_EQ(out.flags(), "unknown");
  EXPECT_EQ(out.exec_id(), "");
  EXPECT_FALSE(out.has_uid() || out.has_auid() || out.has_in_init_tree());
}

TEST(TetragonProcess, ExecIdsHaveTheirPartsInTetragonsOrder) {
  std::string plain;
  ASSERT_TRUE(absl::Base64Unescape(TetragonExecId("a:b:12:34"), &plain));
  EXPECT_EQ(plain, "a:b:34:12") << "a node's name may have colons";
  for (const char* text : {"", "x", "x:1", ":"}) EXPECT_EQ(TetragonExecId(text), "") << text;
}

// Of one argument, as JSON.
std::string Argument(const std::string& argument) {
  v1::Event event;
  event.mutable_hook()->set_kind(v1::Hook::FUNCTION);
  *event.mutable_hook()->add_arguments() = FromJson<v1::HookArgument>(argument);
  const std::string line = ToTetragonJson(event).value();
  const std::size_t begin = line.find("\"args\":[") + 8;
  return line.substr(begin, line.find("],\"action\"") - begin);
}

TEST(TetragonArgument, EachKind) {
  EXPECT_EQ(Argument(R"({"type": "uint32", "uint32Value": 7})"), R"({"uint_arg":7})");
  EXPECT_EQ(Argument(R"({"type": "int64", "int64Value": "-7"})"), R"({"long_arg":"-7"})");
  EXPECT_EQ(Argument(R"({"type": "size_t", "uint64Value": "7"})"), R"({"size_arg":"7"})");
  EXPECT_EQ(Argument(R"({"type": "int", "int32Value": 0})"), R"({"int_arg":0})") << "of a oneof, zero is shown";
  EXPECT_EQ(Argument(R"({"type": "char_buf", "bytesValue": "aGkK"})"), R"({"bytes_arg":"aGkK"})");
  EXPECT_EQ(Argument(R"({"type": "char_buf", "bytesValue": "aGkK", "truncated": true})"),
            R"({"truncated_bytes_arg":{"bytes_arg":"aGkK"}})");
  EXPECT_EQ(Argument(R"({"type": "capability", "uint32Value": 1, "name": "CAP_DAC_OVERRIDE"})"),
            R"({"capability_arg":{"value":1,"name":"DAC_OVERRIDE"}})");
  EXPECT_EQ(Argument(R"({"type": "bpf_cmd", "uint32Value": 5})"), R"({"bpf_cmd_arg":"BPF_PROG_LOAD"})");
  EXPECT_EQ(Argument(R"({"type": "path", "file": {"path": "b/c"}, "truncated": true})"),
            R"({"path_arg":{"path":"b/c","flags":"unresolvedPathComponents"}})");
  EXPECT_EQ(Argument(R"({"type": "linux_binprm", "file": {"path": "/bin/x", "permissions": "-rwxr-xr-x"}})"),
            R"({"linux_binprm_arg":{"path":"/bin/x","permission":"-rwxr-xr-x"}})");
  EXPECT_EQ(Argument(R"({"type": "sockaddr", "address": {"family": "AF_INET", "address": "1.2.3.4", "port": 53}})"),
            R"({"sockaddr_arg":{"family":"AF_INET","addr":"1.2.3.4","port":53}})");
  EXPECT_EQ(Argument(R"({"type": "sockaddr_un", "address": {"family": "AF_UNIX", "path": "/run/x"}})"),
            R"({"sockaddrun_arg":{"family":"AF_UNIX","path":"/run/x"}})");
  EXPECT_EQ(Argument(R"({"type": "cap_effective", "capabilities": {"mask": "0000000000000001"}})"),
            R"({"cap_effective_arg":"0000000000000001"})");
  EXPECT_EQ(Argument(R"({"type": "bpf_map", "object": {"name": "m", "kind": "BPF_MAP_TYPE_HASH"}})"),
            R"({"bpf_map_arg":{"MapType":"BPF_MAP_TYPE_HASH","MapName":"m"}})");
  EXPECT_EQ(Argument(R"({"type": "module", "object": {"name": "nf_tables"}})"),
            R"({"module_arg":{"name":"nf_tables"}})");
  EXPECT_EQ(Argument(R"({"type": "net_device", "object": {"name": "eth0"}})"), R"({"net_dev_arg":{"name":"eth0"}})");
  EXPECT_EQ(Argument(R"({"type": "user_namespace", "object": {"namespace": 5}})"),
            R"({"user_ns_arg":{"ns":{"inum":5}}})");
  EXPECT_EQ(Argument(R"({"type": "string", "label": "x"})"), R"({"label":"x"})") << "could not be read";
}

TEST(TetragonArgument, Sockets) {
  const std::string ends = R"("protocol": "IPPROTO_TCP", "source": "10.0.0.1", "sourcePort": 1, "destination":
    "10.0.0.2", "destinationPort": 443, "mark": 0)";
  EXPECT_EQ(Argument(R"({"type": "sock", "socket": {"family": "AF_INET", "type": "SOCK_STREAM", "cookie": "9",
    "state": "TCP_SYN_SENT", )" +
                     ends + "}}"),
            R"({"sock_arg":{"family":"AF_INET","type":"SOCK_STREAM","protocol":"IPPROTO_TCP","saddr":"10.0.0.1",)"
            R"("daddr":"10.0.0.2","sport":1,"dport":443,"cookie":"9","state":"TCP_SYN_SENT"}})");
  EXPECT_EQ(Argument(R"({"type": "skb", "socket": {"family": "AF_INET", "length": 60, )" + ends + "}}"),
            R"({"skb_arg":{"len":60,"saddr":"10.0.0.1","daddr":"10.0.0.2","sport":1,"dport":443,"proto":6,)"
            R"("protocol":"IPPROTO_TCP","family":"AF_INET"}})");
}

TEST(TetragonArgument, Credentials) {
  EXPECT_EQ(Argument(R"({"type": "cred", "credentials": {"uid": 1000, "effectiveUid": 0, "userNamespace": 7,
    "effective": {"mask": "0000000000000003"}}})"),
            R"({"process_credentials_arg":{"uid":1000,"gid":0,"euid":0,"egid":0,"suid":0,"sgid":0,"fsuid":0,"fsgid":0,)"
            R"("caps":{"effective":["CAP_CHOWN","DAC_OVERRIDE"]},"user_ns":{"ns":{"inum":7}}}})");
}

}  // namespace
}  // namespace sluice::telemetry
