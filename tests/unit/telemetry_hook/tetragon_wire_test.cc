// The wire form of Tetragon's messages and service, from the facts and not from our .proto files: a wrong number there
// would fail here. First whole messages as bytes, written by hand; then every name, number and type.
#include <gmock/gmock.h>
#include <google/protobuf/descriptor.h>
#include <gtest/gtest.h>

#include "api/tetragon_service.pb.h"

namespace sluice::telemetry {
namespace {

using google::protobuf::Descriptor;
using google::protobuf::EnumDescriptor;
using google::protobuf::FieldDescriptor;

// The encoding of protocol buffers: a key is the field's number times 8, plus 0 for a varint and 2 for bytes.
std::string Varint(std::uint64_t value) {
  std::string bytes;
  for (; value >= 0x80; value >>= 7) bytes += static_cast<char>(value | 0x80);
  return bytes + static_cast<char>(value);
}
std::string Number(std::uint32_t field, std::uint64_t value) { return Varint(field << 3) + Varint(value); }
std::string Bytes(std::uint32_t field, const std::string& value) {
  return Varint(field << 3 | 2) + Varint(value.size()) + value;
}
std::string Wrapped(std::uint32_t field, std::uint64_t value) { return Bytes(field, Number(1, value)); }

template <typename Message>
Message Parse(const std::string& bytes) {
  Message message;
  EXPECT_TRUE(message.ParseFromString(bytes));
  EXPECT_EQ(message.GetReflection()->GetUnknownFields(message).field_count(), 0);
  return message;
}

TEST(TetragonWire, ARequestForEvents) {
  std::string filter;
  filter += Bytes(1, "/bin/cat");                              // binary_regex
  filter += Bytes(2, "shop");                                  // namespace
  filter += Wrapped(3, 1);                                     // health_check
  filter += Bytes(4, Varint(42));                              // pid, packed
  filter += Bytes(5, Varint(43));                              // pid_set
  filter += Bytes(6, Varint(1) + Varint(28) + Varint(40001));  // event_set: exec, lsm, rate_limit_info
  filter += Bytes(7, "web-.*");                                // pod_regex
  filter += Bytes(8, "-c");                                    // arguments_regex
  filter += Bytes(9, "app=web");                               // labels
  filter += Bytes(10, "files");                                // policy_names
  filter += Bytes(11, Bytes(2, Bytes(1, Varint(21))));         // capabilities.effective.any: CAP_SYS_ADMIN
  filter += Bytes(12, "bash");                                 // parent_binary_regex
  filter += Bytes(13, "true");                                 // cel_expression
  filter += Bytes(14, "-l");                                   // parent_arguments_regex
  filter += Bytes(15, "0123");                                 // container_id
  filter += Wrapped(16, 1);                                    // in_init_tree
  filter += Bytes(17, "sshd");                                 // ancestor_binary_regex
  filter += Bytes(18, "main");                                 // container_name_regex
  filter += Bytes(19, "sh.*");                                 // namespace_regex
  const std::string field_filter =
      Bytes(1, Varint(9)) + Bytes(2, Bytes(1, "process.pod")) + Number(3, 1) + Wrapped(4, 1);
  const auto request =
      Parse<tetragon::GetEventsRequest>(Bytes(1, filter) + Bytes(2, Bytes(2, "kube-system")) +
                                        Bytes(3, Bytes(1, Number(1, 15)) + Number(2, 100)) + Bytes(4, field_filter));
  const tetragon::Filter& allow = request.allow_list(0);
  EXPECT_EQ(allow.binary_regex(0), "/bin/cat");
  EXPECT_EQ(allow.namespace_(0), "shop");
  EXPECT_TRUE(allow.health_check().value());
  EXPECT_EQ(allow.pid(0), 42U);
  EXPECT_EQ(allow.pid_set(0), 43U);
  EXPECT_THAT(allow.event_set(),
              ::testing::ElementsAre(tetragon::PROCESS_EXEC, tetragon::PROCESS_LSM, tetragon::RATE_LIMIT_INFO));
  EXPECT_EQ(allow.pod_regex(0), "web-.*");
  EXPECT_EQ(allow.arguments_regex(0), "-c");
  EXPECT_EQ(allow.labels(0), "app=web");
  EXPECT_EQ(allow.policy_names(0), "files");
  EXPECT_EQ(allow.capabilities().effective().any(0), tetragon::CAP_SYS_ADMIN);
  EXPECT_EQ(allow.parent_binary_regex(0), "bash");
  EXPECT_EQ(allow.cel_expression(0), "true");
  EXPECT_EQ(allow.parent_arguments_regex(0), "-l");
  EXPECT_EQ(allow.container_id(0), "0123");
  EXPECT_TRUE(allow.in_init_tree().value());
  EXPECT_EQ(allow.ancestor_binary_regex(0), "sshd");
  EXPECT_EQ(allow.container_name_regex(0), "main");
  EXPECT_EQ(allow.namespace_regex(0), "sh.*");
  EXPECT_EQ(request.deny_list(0).namespace_(0), "kube-system");
  EXPECT_EQ(request.aggregation_options().window_size().seconds(), 15);
  EXPECT_EQ(request.aggregation_options().channel_buffer_size(), 100U);
  EXPECT_EQ(request.field_filters(0).event_set(0), tetragon::PROCESS_KPROBE);
  EXPECT_EQ(request.field_filters(0).fields().paths(0), "process.pod");
  EXPECT_EQ(request.field_filters(0).action(), tetragon::EXCLUDE);
  EXPECT_TRUE(request.field_filters(0).invert_event_set().value());
}

TEST(TetragonWire, AnEvent) {
  tetragon::GetEventsResponse event;
  event.set_node_name("n");
  event.mutable_time()->set_seconds(7);
  tetragon::ProcessKprobe& kprobe = *event.mutable_process_kprobe();
  tetragon::Process& process = *kprobe.mutable_process();
  process.set_exec_id("e");
  process.mutable_pid()->set_value(300);
  process.mutable_uid()->set_value(0);  // a wrapper with 0 is there, and empty
  process.set_cwd("/");
  process.set_binary("/bin/cat");
  process.set_arguments("x");
  process.set_flags("execve");
  process.mutable_start_time()->set_seconds(5);
  process.mutable_auid()->set_value(1000);
  process.mutable_pod()->set_namespace_("shop");
  process.mutable_pod()->set_name("web");
  process.mutable_pod()->mutable_container()->set_id("c");
  process.set_docker("0123");
  process.set_parent_exec_id("p");
  process.mutable_cap()->add_effective(tetragon::CAP_SYS_ADMIN);
  process.mutable_tid()->set_value(301);
  process.mutable_in_init_tree()->set_value(true);
  kprobe.set_function_name("f");
  kprobe.add_args()->mutable_sock_arg()->set_family("AF_INET");
  kprobe.set_action(tetragon::KPROBE_ACTION_SIGKILL);
  kprobe.set_policy_name("files");
  kprobe.set_return_action(tetragon::KPROBE_ACTION_POST);
  const std::string pod = Bytes(1, "shop") + Bytes(2, "web") + Bytes(4, Bytes(1, "c"));
  const std::string expected_process =
      Bytes(1, "e") + Wrapped(2, 300) + Bytes(3, "") + Bytes(4, "/") + Bytes(5, "/bin/cat") + Bytes(6, "x") +
      Bytes(7, "execve") + Bytes(8, Number(1, 5)) + Wrapped(9, 1000) + Bytes(10, pod) + Bytes(11, "0123") +
      Bytes(12, "p") + Bytes(14, Bytes(2, Varint(21))) + Wrapped(16, 301) + Wrapped(20, 1);
  const std::string expected_kprobe = Bytes(1, expected_process) + Bytes(3, "f") +
                                      Bytes(4, Bytes(9, Bytes(1, "AF_INET"))) + Number(6, 3) + Bytes(8, "files") +
                                      Number(9, 1);
  EXPECT_EQ(event.SerializeAsString(), Bytes(9, expected_kprobe) + Bytes(1000, "n") + Bytes(1001, Number(1, 7)));
}

TEST(TetragonWire, KindsOfEvents) {
  const std::string process = Bytes(1, Bytes(5, "/bin/cat"));
  const auto of = [&](std::uint32_t number) {
    const auto event = Parse<tetragon::GetEventsResponse>(Bytes(number, process));
    return std::string(event.GetDescriptor()->FindFieldByNumber(static_cast<int>(event.event_case()))->name());
  };
  EXPECT_EQ(of(1), "process_exec");
  EXPECT_EQ(of(5), "process_exit");
  EXPECT_EQ(of(9), "process_kprobe");
  EXPECT_EQ(of(10), "process_tracepoint");
  EXPECT_EQ(of(11), "process_loader");
  EXPECT_EQ(of(12), "process_uprobe");
  EXPECT_EQ(of(28), "process_lsm");
  EXPECT_EQ(of(29), "process_usdt");
  const auto lost = Parse<tetragon::GetEventsResponse>(Bytes(40001, Number(1, 12)));
  EXPECT_EQ(lost.rate_limit_info().number_of_dropped_process_events(), 12U);
}

TEST(TetragonWire, RequestsForPolicies) {
  const auto add = Parse<tetragon::AddTracingPolicyRequest>(Bytes(1, "kind: TracingPolicy") + Bytes(2, "grpc"));
  EXPECT_EQ(add.yaml(), "kind: TracingPolicy");
  EXPECT_EQ(add.domain(), "grpc");
  const std::string named = Bytes(1, "files") + Bytes(2, "shop");
  const auto configure =
      Parse<tetragon::ConfigureTracingPolicyRequest>(named + Number(3, 0) + Number(4, 2) + Bytes(5, "k8s"));
  EXPECT_EQ(configure.name(), "files");
  EXPECT_EQ(configure.namespace_(), "shop");
  EXPECT_TRUE(configure.has_enable() && !configure.enable());
  EXPECT_EQ(configure.mode(), tetragon::TP_MODE_MONITOR);
  EXPECT_EQ(configure.domain(), "k8s");
  EXPECT_FALSE(Parse<tetragon::ConfigureTracingPolicyRequest>(named).has_enable());
  EXPECT_EQ(Parse<tetragon::DeleteTracingPolicyRequest>(named + Bytes(3, "grpc")).domain(), "grpc");
  EXPECT_EQ(Parse<tetragon::ListTracingPoliciesRequest>(Bytes(1, "grpc")).domain(), "grpc");
}

TEST(TetragonWire, WhatIsToldOfAPolicy) {
  tetragon::ListTracingPoliciesResponse reply;
  tetragon::TracingPolicyStatus& policy = *reply.add_policies();
  policy.set_id(1);
  policy.set_name("files");
  policy.set_namespace_("shop");
  policy.add_sensors("generic_kprobe");
  policy.set_enabled(true);
  policy.set_filter_id(2);
  policy.set_error("none");
  policy.set_state(tetragon::TP_STATE_DISABLED);
  policy.set_kernel_memory_bytes(4096);
  policy.set_mode(tetragon::TP_MODE_MONITOR);
  policy.mutable_stats()->mutable_action_counters()->set_post(5);
  policy.mutable_stats()->mutable_action_counters()->set_monitor_signal(6);
  policy.set_domain("grpc");
  policy.add_hook_statuses()->set_state(tetragon::STATUS_CALL_NOT_FOUND);
  EXPECT_EQ(
      reply.SerializeAsString(),
      Bytes(1, Number(1, 1) + Bytes(2, "files") + Bytes(3, "shop") + Bytes(5, "generic_kprobe") + Number(6, 1) +
                   Number(7, 2) + Bytes(8, "none") + Number(9, 2) + Number(10, 4096) + Number(11, 2) +
                   Bytes(12, Bytes(1, Number(1, 5) + Number(3, 6))) + Bytes(13, "grpc") + Bytes(14, Number(2, 3))));
  tetragon::GetHealthStatusResponse health;
  health.add_health_status()->set_event(tetragon::HEALTH_STATUS_TYPE_STATUS);
  health.mutable_health_status(0)->set_status(tetragon::HEALTH_STATUS_RUNNING);
  health.mutable_health_status(0)->set_details("running");
  EXPECT_EQ(health.SerializeAsString(), Bytes(1, Number(1, 1) + Number(2, 1) + Bytes(3, "running")));
}

struct Fact {
  const char* type;     // message or enum
  const char* members;  // "*" before the type: repeated
};

// All that Sluice has of Tetragon's API at its commit 4fbfe2d74ecb84acf79ed09a416f01b54185e8a6.
constexpr Fact kFacts[] = {
    {"AddTracingPolicyRequest", "string:yaml=1 string:domain=2"},
    {"AggregationOptions", "Duration:window_size=1 uint64:channel_buffer_size=2"},
    {"BinaryProperties", "UInt32Value:setuid=1 UInt32Value:setgid=2 FileProperties:file=4"},
    {"BpfCmd",
     "BPF_MAP_CREATE=0 BPF_MAP_LOOKUP_ELEM=1 BPF_MAP_UPDATE_ELEM=2 BPF_MAP_DELETE_ELEM=3 "
     "BPF_MAP_GET_NEXT_KEY=4 BPF_PROG_LOAD=5 BPF_OBJ_PIN=6 BPF_OBJ_GET=7 BPF_PROG_ATTACH=8 "
     "BPF_PROG_DETACH=9 BPF_PROG_TEST_RUN=10 BPF_PROG_GET_NEXT_ID=11 BPF_MAP_GET_NEXT_ID=12 "
     "BPF_PROG_GET_FD_BY_ID=13 BPF_MAP_GET_FD_BY_ID=14 BPF_OBJ_GET_INFO_BY_FD=15 BPF_PROG_QUERY=16 "
     "BPF_RAW_TRACEPOINT_OPEN=17 BPF_BTF_LOAD=18 BPF_BTF_GET_FD_BY_ID=19 BPF_TASK_FD_QUERY=20 "
     "BPF_MAP_LOOKUP_AND_DELETE_ELEM=21 BPF_MAP_FREEZE=22 BPF_BTF_GET_NEXT_ID=23 "
     "BPF_MAP_LOOKUP_BATCH=24 BPF_MAP_LOOKUP_AND_DELETE_BATCH=25 BPF_MAP_UPDATE_BATCH=26 "
     "BPF_MAP_DELETE_BATCH=27 BPF_LINK_CREATE=28 BPF_LINK_UPDATE=29 BPF_LINK_GET_FD_BY_ID=30 "
     "BPF_LINK_GET_NEXT_ID=31 BPF_ENABLE_STATS=32 BPF_ITER_CREATE=33 BPF_LINK_DETACH=34 "
     "BPF_PROG_BIND_MAP=35 BPF_TOKEN_CREATE=36"},
    {"CapFilter", "CapFilterSet:permitted=1 CapFilterSet:effective=2 CapFilterSet:inheritable=3"},
    {"CapFilterSet",
     "*CapabilitiesType:any=1 *CapabilitiesType:all=2 *CapabilitiesType:exactly=3 "
     "*CapabilitiesType:none=4"},
    {"Capabilities", "*CapabilitiesType:permitted=1 *CapabilitiesType:effective=2 *CapabilitiesType:inheritable=3"},
    {"CapabilitiesType",
     "CAP_CHOWN=0 DAC_OVERRIDE=1 CAP_DAC_READ_SEARCH=2 CAP_FOWNER=3 CAP_FSETID=4 CAP_KILL=5 "
     "CAP_SETGID=6 CAP_SETUID=7 CAP_SETPCAP=8 CAP_LINUX_IMMUTABLE=9 CAP_NET_BIND_SERVICE=10 "
     "CAP_NET_BROADCAST=11 CAP_NET_ADMIN=12 CAP_NET_RAW=13 CAP_IPC_LOCK=14 CAP_IPC_OWNER=15 "
     "CAP_SYS_MODULE=16 CAP_SYS_RAWIO=17 CAP_SYS_CHROOT=18 CAP_SYS_PTRACE=19 CAP_SYS_PACCT=20 "
     "CAP_SYS_ADMIN=21 CAP_SYS_BOOT=22 CAP_SYS_NICE=23 CAP_SYS_RESOURCE=24 CAP_SYS_TIME=25 "
     "CAP_SYS_TTY_CONFIG=26 CAP_MKNOD=27 CAP_LEASE=28 CAP_AUDIT_WRITE=29 CAP_AUDIT_CONTROL=30 "
     "CAP_SETFCAP=31 CAP_MAC_OVERRIDE=32 CAP_MAC_ADMIN=33 CAP_SYSLOG=34 CAP_WAKE_ALARM=35 "
     "CAP_BLOCK_SUSPEND=36 CAP_AUDIT_READ=37 CAP_PERFMON=38 CAP_BPF=39 CAP_CHECKPOINT_RESTORE=40"},
    {"ConfigFlag", "CONFIG_FLAG_LOG_LEVEL=0 CONFIG_FLAG_DUMP_PROCESS_CACHE=1"},
    {"ConfigureTracingPolicyRequest",
     "string:name=1 string:namespace=2 bool:enable=3 TracingPolicyMode:mode=4 string:domain=5"},
    {"Container",
     "string:id=1 string:name=2 Image:image=3 Timestamp:start_time=4 UInt32Value:pid=5 "
     "bool:maybe_exec_probe=13"},
    {"CreateContainer",
     "string:cgroupsPath=1 string:rootDir=2 map:annotations=3 string:containerName=4 "
     "string:containerID=5 string:podName=6 string:podUID=7 string:podNamespace=8 "
     "string:containerImage=9"},
    {"DeleteTracingPolicyRequest", "string:name=1 string:namespace=2 string:domain=3"},
    {"DisableSensorRequest", "string:name=1"},
    {"DisableTracingPolicyRequest", "string:name=1 string:namespace=2 string:domain=3"},
    {"DumpProcessCacheReqArgs", "bool:skip_zero_refcnt=1 bool:exclude_execve_map_processes=2"},
    {"DumpProcessCacheResArgs", "*ProcessInternal:processes=1"},
    {"EnableSensorRequest", "string:name=1"},
    {"EnableTracingPolicyRequest", "string:name=1 string:namespace=2 string:domain=3"},
    {"EventType",
     "UNDEF=0 PROCESS_EXEC=1 PROCESS_EXIT=5 PROCESS_KPROBE=9 PROCESS_TRACEPOINT=10 "
     "PROCESS_LOADER=11 PROCESS_UPROBE=12 PROCESS_THROTTLE=27 PROCESS_LSM=28 PROCESS_USDT=29 "
     "TEST=40000 RATE_LIMIT_INFO=40001"},
    {"FieldFilter",
     "*EventType:event_set=1 FieldMask:fields=2 FieldFilterAction:action=3 "
     "BoolValue:invert_event_set=4"},
    {"FieldFilterAction", "INCLUDE=0 EXCLUDE=1"},
    {"FileProperties", "InodeProperties:inode=1 string:path=2"},
    {"Filter",
     "*string:binary_regex=1 *string:namespace=2 BoolValue:health_check=3 *uint32:pid=4 "
     "*uint32:pid_set=5 *EventType:event_set=6 *string:pod_regex=7 *string:arguments_regex=8 "
     "*string:labels=9 *string:policy_names=10 CapFilter:capabilities=11 "
     "*string:parent_binary_regex=12 *string:cel_expression=13 *string:parent_arguments_regex=14 "
     "*string:container_id=15 BoolValue:in_init_tree=16 *string:ancestor_binary_regex=17 "
     "*string:container_name_regex=18 *string:namespace_regex=19"},
    {"GetDebugRequest", "ConfigFlag:flag=1 DumpProcessCacheReqArgs:dump=2"},
    {"GetDebugResponse", "ConfigFlag:flag=1 LogLevel:level=2 DumpProcessCacheResArgs:processes=3"},
    {"GetEventsRequest",
     "*Filter:allow_list=1 *Filter:deny_list=2 AggregationOptions:aggregation_options=3 "
     "*FieldFilter:field_filters=4"},
    {"GetEventsResponse",
     "ProcessExec:process_exec=1 ProcessExit:process_exit=5 ProcessKprobe:process_kprobe=9 "
     "ProcessTracepoint:process_tracepoint=10 ProcessLoader:process_loader=11 "
     "ProcessUprobe:process_uprobe=12 ProcessLsm:process_lsm=28 ProcessUsdt:process_usdt=29 "
     "string:node_name=1000 Timestamp:time=1001 string:cluster_name=1003 map:node_labels=1004 "
     "RateLimitInfo:rate_limit_info=40001"},
    {"GetHealthStatusRequest", "*HealthStatusType:event_set=1"},
    {"GetHealthStatusResponse", "*HealthStatus:health_status=1"},
    {"GetInfoResponse",
     "string:version=1 string:name=2 *GetInfoResponse.Probe:probes=3 "
     "*GetInfoResponse.ConfVal:conf=4 GetInfoResponse.BuildInfo:build=5"},
    {"GetInfoResponse.BuildInfo", "string:go_version=1 string:commit=2 string:time=3 string:modified=4"},
    {"GetInfoResponse.ConfVal", "string:key=1 Any:value=2"},
    {"GetInfoResponse.Probe", "string:Name=1 BoolValue:Enabled=2"},
    {"GetVersionResponse", "string:version=1"},
    {"HealthStatus", "HealthStatusType:event=1 HealthStatusResult:status=2 string:details=3"},
    {"HealthStatusResult",
     "HEALTH_STATUS_UNDEF=0 HEALTH_STATUS_RUNNING=1 HEALTH_STATUS_STOPPED=2 HEALTH_STATUS_ERROR=3"},
    {"HealthStatusType", "HEALTH_STATUS_TYPE_UNDEF=0 HEALTH_STATUS_TYPE_STATUS=1"},
    {"HookState",
     "STATUS_UNSPECIFIED=0 STATUS_LOADED=1 STATUS_DIGEST_REJECTED=2 STATUS_CALL_NOT_FOUND=3 "
     "STATUS_PARTIAL_CALL_NOT_FOUND=4"},
    {"HookStatus", "string:section=1 HookState:state=2 string:hook_description=3 uint32:hook_idx=4"},
    {"Image", "string:id=1 string:name=2"},
    {"InodeProperties", "uint64:number=1 UInt32Value:links=2"},
    {"KernelModule", "string:name=1 BoolValue:signature_ok=2"},
    {"KprobeAction",
     "KPROBE_ACTION_UNKNOWN=0 KPROBE_ACTION_POST=1 KPROBE_ACTION_FOLLOWFD=2 "
     "KPROBE_ACTION_SIGKILL=3 KPROBE_ACTION_UNFOLLOWFD=4 KPROBE_ACTION_OVERRIDE=5 "
     "KPROBE_ACTION_COPYFD=6 KPROBE_ACTION_GETURL=7 KPROBE_ACTION_DNSLOOKUP=8 "
     "KPROBE_ACTION_NOPOST=9 KPROBE_ACTION_SIGNAL=10 KPROBE_ACTION_TRACKSOCK=11 "
     "KPROBE_ACTION_UNTRACKSOCK=12 KPROBE_ACTION_NOTIFYENFORCER=13 "
     "KPROBE_ACTION_CLEANUPENFORCERNOTIFICATION=14 KPROBE_ACTION_SET=15"},
    {"KprobeArgument",
     "string:string_arg=1 int32:int_arg=2 KprobeSkb:skb_arg=3 uint64:size_arg=4 bytes:bytes_arg=5 "
     "KprobePath:path_arg=6 KprobeFile:file_arg=7 KprobeTruncatedBytes:truncated_bytes_arg=8 "
     "KprobeSock:sock_arg=9 int64:long_arg=11 KprobeBpfAttr:bpf_attr_arg=12 "
     "KprobePerfEvent:perf_event_arg=13 KprobeBpfMap:bpf_map_arg=14 uint32:uint_arg=15 "
     "KprobeCapability:capability_arg=17 string:label=18 "
     "ProcessCredentials:process_credentials_arg=19 UserNamespace:user_ns_arg=20 "
     "KernelModule:module_arg=21 string:kernel_cap_t_arg=22 string:cap_inheritable_arg=23 "
     "string:cap_permitted_arg=24 string:cap_effective_arg=25 "
     "KprobeLinuxBinprm:linux_binprm_arg=26 KprobeNetDev:net_dev_arg=27 BpfCmd:bpf_cmd_arg=28 "
     "SyscallId:syscall_id=29 KprobeSockaddr:sockaddr_arg=30 KprobeBpfProg:bpf_prog_arg=31 "
     "KprobeError:error_arg=32 KprobeSockaddrUn:sockaddrun_arg=33"},
    {"KprobeBpfAttr", "string:ProgType=1 uint32:InsnCnt=2 string:ProgName=3"},
    {"KprobeBpfMap", "string:MapType=1 uint32:KeySize=2 uint32:ValueSize=3 uint32:MaxEntries=4 string:MapName=5"},
    {"KprobeBpfProg", "string:ProgType=1 uint32:InsnCnt=2 string:ProgName=3"},
    {"KprobeCapability", "Int32Value:value=1 string:name=2"},
    {"KprobeError", "string:Message=1"},
    {"KprobeFile", "string:mount=1 string:path=2 string:flags=3 string:permission=4"},
    {"KprobeLinuxBinprm", "string:path=1 string:flags=2 string:permission=3"},
    {"KprobeNetDev", "string:name=1"},
    {"KprobePath", "string:mount=1 string:path=2 string:flags=3 string:permission=4"},
    {"KprobePerfEvent", "string:KprobeFunc=1 string:Type=2 uint64:Config=3 uint64:ProbeOffset=4"},
    {"KprobeSkb",
     "uint32:hash=1 uint32:len=2 uint32:priority=3 uint32:mark=4 string:saddr=5 string:daddr=6 "
     "uint32:sport=7 uint32:dport=8 uint32:proto=9 uint32:sec_path_len=10 uint32:sec_path_olen=11 "
     "string:protocol=12 string:family=13"},
    {"KprobeSock",
     "string:family=1 string:type=2 string:protocol=3 uint32:mark=4 uint32:priority=5 "
     "string:saddr=6 string:daddr=7 uint32:sport=8 uint32:dport=9 uint64:cookie=10 string:state=11"},
    {"KprobeSockaddr", "string:family=1 string:addr=2 uint32:port=3"},
    {"KprobeSockaddrUn", "string:family=1 string:path=2"},
    {"KprobeTruncatedBytes", "bytes:bytes_arg=1 uint64:orig_size=2"},
    {"ListDomainsResponse", "*string:domains=1"},
    {"ListSensorsResponse", "*SensorStatus:sensors=1"},
    {"ListTracingPoliciesRequest", "string:domain=1"},
    {"ListTracingPoliciesResponse", "*TracingPolicyStatus:policies=1"},
    {"LogLevel",
     "LOG_LEVEL_PANIC=0 LOG_LEVEL_FATAL=1 LOG_LEVEL_ERROR=2 LOG_LEVEL_WARN=3 LOG_LEVEL_INFO=4 "
     "LOG_LEVEL_DEBUG=5 LOG_LEVEL_TRACE=6"},
    {"Namespace", "uint32:inum=1 bool:is_host=2"},
    {"Namespaces",
     "Namespace:uts=1 Namespace:ipc=2 Namespace:mnt=3 Namespace:pid=4 Namespace:pid_for_children=5 "
     "Namespace:net=6 Namespace:time=7 Namespace:time_for_children=8 Namespace:cgroup=9 "
     "Namespace:user=10"},
    {"Pod",
     "string:namespace=1 string:name=2 string:uid=3 Container:container=4 map:pod_labels=5 "
     "string:workload=6 string:workload_kind=7 map:pod_annotations=8"},
    {"Process",
     "string:exec_id=1 UInt32Value:pid=2 UInt32Value:uid=3 string:cwd=4 string:binary=5 "
     "string:arguments=6 string:flags=7 Timestamp:start_time=8 UInt32Value:auid=9 Pod:pod=10 "
     "string:docker=11 string:parent_exec_id=12 uint32:refcnt=13 Capabilities:cap=14 "
     "Namespaces:ns=15 UInt32Value:tid=16 ProcessCredentials:process_credentials=17 "
     "BinaryProperties:binary_properties=18 BoolValue:in_init_tree=20"},
    {"ProcessCredentials",
     "UInt32Value:uid=1 UInt32Value:gid=2 UInt32Value:euid=3 UInt32Value:egid=4 UInt32Value:suid=5 "
     "UInt32Value:sgid=6 UInt32Value:fsuid=7 UInt32Value:fsgid=8 Capabilities:caps=10 "
     "UserNamespace:user_ns=11"},
    {"ProcessExec", "Process:process=1 Process:parent=2 *Process:ancestors=3"},
    {"ProcessExit",
     "Process:process=1 Process:parent=2 string:signal=3 uint32:status=4 Timestamp:time=5 "
     "*Process:ancestors=6"},
    {"ProcessInternal", "Process:process=1 string:color=2 UInt32Value:refcnt=3 map:refcnt_ops=4"},
    {"ProcessKprobe",
     "Process:process=1 Process:parent=2 string:function_name=3 *KprobeArgument:args=4 "
     "KprobeArgument:return=5 KprobeAction:action=6 *StackTraceEntry:kernel_stack_trace=7 "
     "string:policy_name=8 KprobeAction:return_action=9 string:message=10 *string:tags=11 "
     "*StackTraceEntry:user_stack_trace=12 *Process:ancestors=13 *KprobeArgument:data=14"},
    {"ProcessLoader", "Process:process=1 string:path=2 bytes:buildid=3 Process:parent=4 *Process:ancestors=5"},
    {"ProcessLsm",
     "Process:process=1 Process:parent=2 string:function_name=3 string:policy_name=5 "
     "string:message=6 *KprobeArgument:args=7 KprobeAction:action=8 *string:tags=9 "
     "*Process:ancestors=10 string:ima_hash=11"},
    {"ProcessTracepoint",
     "Process:process=1 Process:parent=2 string:subsys=4 string:event=5 *KprobeArgument:args=6 "
     "string:policy_name=7 KprobeAction:action=8 string:message=9 *string:tags=10 "
     "*Process:ancestors=11"},
    {"ProcessUprobe",
     "Process:process=1 Process:parent=2 string:path=3 string:symbol=4 string:policy_name=5 "
     "string:message=6 *KprobeArgument:args=7 *string:tags=8 *Process:ancestors=9 uint64:offset=10 "
     "uint64:ref_ctr_offset=11 KprobeAction:action=12 *KprobeArgument:data=13"},
    {"ProcessUsdt",
     "Process:process=1 Process:parent=2 string:path=3 string:provider=4 string:name=5 "
     "string:policy_name=6 string:message=7 *KprobeArgument:args=8 *string:tags=9 "
     "*Process:ancestors=10 KprobeAction:action=11 string:flags=12"},
    {"RateLimitInfo", "uint64:number_of_dropped_process_events=1"},
    {"RemoveSensorRequest", "string:name=1"},
    {"RuntimeHookRequest", "CreateContainer:createContainer=1"},
    {"SensorStatus", "string:name=1 bool:enabled=2 string:collection=3"},
    {"SetDebugRequest", "ConfigFlag:flag=1 LogLevel:level=2"},
    {"SetDebugResponse", "ConfigFlag:flag=1 LogLevel:level=2"},
    {"StackTraceEntry", "uint64:address=1 uint64:offset=2 string:symbol=3 string:module=4"},
    {"SyscallId", "uint32:id=1 string:abi=2"},
    {"TracingPolicyActionCounters",
     "uint64:post=1 uint64:signal=2 uint64:monitor_signal=3 uint64:override=4 "
     "uint64:monitor_override=5 uint64:notify_enforcer=6 uint64:monitor_notify_enforcer=7 "
     "uint64:set=8 uint64:monitor_set=9 uint64:nopost=10"},
    {"TracingPolicyMode", "TP_MODE_UNKNOWN=0 TP_MODE_ENFORCE=1 TP_MODE_MONITOR=2 TP_MODE_MONITOR_ONLY=3"},
    {"TracingPolicySelectorActionCounters",
     "string:hook=1 UInt32Value:hook_index=2 UInt32Value:selector_index=3 "
     "TracingPolicyActionCounters:action_counters=4 string:selector_label=5"},
    {"TracingPolicyState",
     "TP_STATE_UNKNOWN=0 TP_STATE_ENABLED=1 TP_STATE_DISABLED=2 TP_STATE_LOAD_ERROR=3 "
     "TP_STATE_ERROR=4 TP_STATE_LOADING=5 TP_STATE_UNLOADING=6 TP_STATE_SKIPPED=7 "
     "TP_STATE_PARTIALLY_ENABLED=8"},
    {"TracingPolicyStats",
     "TracingPolicyActionCounters:action_counters=1 "
     "*TracingPolicySelectorActionCounters:selector_action_counters=2"},
    {"TracingPolicyStatus",
     "uint64:id=1 string:name=2 string:namespace=3 string:info=4 *string:sensors=5 bool:enabled=6 "
     "uint64:filter_id=7 string:error=8 TracingPolicyState:state=9 uint64:kernel_memory_bytes=10 "
     "TracingPolicyMode:mode=11 TracingPolicyStats:stats=12 string:domain=13 "
     "*HookStatus:hook_statuses=14"},
    {"UserNamespace", "Int32Value:level=1 UInt32Value:uid=2 UInt32Value:gid=3 Namespace:ns=4"},
};

std::string TypeText(const FieldDescriptor& field) {
  if (field.is_map()) return "map";
  std::string text = field.is_repeated() ? "*" : "";
  if (const Descriptor* const message = field.message_type()) {
    const std::string name = message->full_name();
    return text + name.substr(name.find('.') + 1 + (name.starts_with("google.") ? 9 : 0));
  }
  if (const EnumDescriptor* const values = field.enum_type()) return text + values->name();
  return text + field.type_name();
}

// As in kFacts, by number.
std::string MembersText(const Descriptor& message) {
  std::map<int, std::string> members;
  for (int i = 0; i < message.field_count(); ++i) {
    const FieldDescriptor& field = *message.field(i);
    members[field.number()] = TypeText(field) + ":" + field.name() + "=" + std::to_string(field.number());
  }
  std::string text;
  for (const auto& [number, member] : members) text += (text.empty() ? "" : " ") + member;
  return text;
}
std::string MembersText(const EnumDescriptor& values) {
  std::map<int, std::string> members;
  for (int i = 0; i < values.value_count(); ++i)
    members[values.value(i)->number()] = values.value(i)->name() + "=" + std::to_string(values.value(i)->number());
  std::string text;
  for (const auto& [number, member] : members) text += (text.empty() ? "" : " ") + member;
  return text;
}

TEST(TetragonWire, EveryNameNumberAndType) {
  const auto& pool = *google::protobuf::DescriptorPool::generated_pool();
  ASSERT_NE(tetragon::GetEventsRequest::descriptor(), nullptr);
  std::set<std::string> known;
  for (const Fact& fact : kFacts) {
    const std::string name = std::string("tetragon.") + fact.type;
    known.insert(name);
    if (const Descriptor* const message = pool.FindMessageTypeByName(name)) {
      EXPECT_EQ(MembersText(*message), fact.members) << name;
    } else if (const EnumDescriptor* const values = pool.FindEnumTypeByName(name)) {
      EXPECT_EQ(MembersText(*values), fact.members) << name;
    } else {
      ADD_FAILURE() << "there is no " << name;
    }
  }
  // And nothing without a fact. Messages without fields have none.
  for (const char* const path : {"api/tetragon.proto", "api/tetragon_service.proto"}) {
    const auto* const file = pool.FindFileByName(path);
    ASSERT_NE(file, nullptr) << path;
    for (int i = 0; i < file->message_type_count(); ++i) {
      const Descriptor& message = *file->message_type(i);
      EXPECT_TRUE(message.field_count() == 0 || known.contains(message.full_name())) << message.full_name();
    }
    for (int i = 0; i < file->enum_type_count(); ++i)
      EXPECT_TRUE(known.contains(file->enum_type(i)->full_name())) << file->enum_type(i)->full_name();
  }
}

TEST(TetragonWire, EveryMethod) {
  const auto* const service =
      google::protobuf::DescriptorPool::generated_pool()->FindServiceByName("tetragon.FineGuidanceSensors");
  ASSERT_NE(service, nullptr);
  const std::set<std::string> methods = {"AddTracingPolicy",
                                         "ConfigureTracingPolicy",
                                         "DeleteTracingPolicy",
                                         "DisableSensor",
                                         "DisableTracingPolicy",
                                         "EnableSensor",
                                         "EnableTracingPolicy",
                                         "GetDebug",
                                         "GetEvents",
                                         "GetHealth",
                                         "GetInfo",
                                         "GetVersion",
                                         "ListDomains",
                                         "ListSensors",
                                         "ListTracingPolicies",
                                         "RemoveSensor",
                                         "RuntimeHook",
                                         "SetDebug"};
  EXPECT_EQ(service->method_count(), static_cast<int>(methods.size()));
  for (int i = 0; i < service->method_count(); ++i) {
    const auto& method = *service->method(i);
    EXPECT_TRUE(methods.contains(method.name())) << method.name();
    EXPECT_FALSE(method.client_streaming()) << method.name();
    EXPECT_EQ(method.server_streaming(), method.name() == "GetEvents") << method.name();
    const std::string base = method.name() == "GetHealth" ? "GetHealthStatus" : method.name();
    EXPECT_EQ(method.input_type()->name(), base + "Request");
    EXPECT_EQ(method.output_type()->name(), base + "Response");
  }
}

}  // namespace
}  // namespace sluice::telemetry
