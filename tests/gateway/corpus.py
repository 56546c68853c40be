"""Requests and answers in every spelling that JSON and event streams allow, on both vendors' wires."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

PATHS = {"openai": "/v1/chat/completions", "anthropic": "/v1/messages"}


@dataclass(frozen=True)
class Spelling:
    """How a client writes: MESSAGES, STREAM and TEXT stand for these. `own`: the host knows its answers again."""

    frame: str
    user: str = '{"role":"user","content":"TEXT"}'
    assistant: str = '{"role":"assistant","content":"It is nine. é/😀"}'
    own: bool = True

    def body(self, messages: Sequence[str], stream: bool) -> bytes:
        written = self.frame.replace("STREAM", "true" if stream else "false")
        return written.replace("MESSAGES", ",".join(messages)).encode()

    def said(self, text: str) -> str:
        return self.user.replace("TEXT", text)


PLAIN = '{"model":"m","max_tokens":9,"messages":[MESSAGES],"stream":STREAM}'
WITH_TOOL = {
    "openai": (
        '{"role":"assistant","content":null,"tool_calls":'
        '[{"id":"t1","type":"function","function":{"name":"look","arguments":"{\\"a\\": 1}"}}]}',
        '{"role":"tool","tool_call_id":"t1","content":"nine","x":[]}',
    ),
    "anthropic": (
        '{"role":"assistant","content":[{"type":"tool_use","id":"t1","name":"look","input":{"a":1}}]}',
        '{"role":"user","content":[{"type":"tool_result","tool_use_id":"t1","content":"nine"}]}',
    ),
}

FRAMES = {
    "plain": Spelling(PLAIN),
    "unknown fields": Spelling(
        '{"x/y":[{"":null}],"messages":[MESSAGES],"stream":STREAM,"zz":{"role":"user","a":[[]]}}'
    ),
    "messages first": Spelling('{"messages":[MESSAGES],"stream":STREAM,"model":"m","max_tokens":9}'),
    "role behind content": Spelling(PLAIN, '{"content":"TEXT","name":"n","role":"user"}'),
    "blanks": Spelling(
        ' \t\r\n{ "model" :\t"m" ,\r\n "messages" : [ MESSAGES\n] , "stream":STREAM }\r\n\r\n ',
        '{\n\t"role" : "user" ,\n\t"content" :   "TEXT"\n}',
        '{ "role":"assistant" , "content":"It is nine. é\\/😀" }',
    ),
    "escapes": Spelling(
        '{"model":"\\u006d\\/\\u00fc","messages":[MESSAGES],"stream":STREAM}',
        '{"\\u0072ole":"us\\u0065r","content":"TEXT \\u00e9 \\u00E9 \\/ \\ud83d\\ude00 \\u2028 \\u0000 \\b"}',
        '{"role":"assistant","content":"It is \\u006eine. \\u00e9\\/\\uD83D\\uDE00"}',
    ),
    "letters as they are": Spelling(PLAIN, '{"role":"user","content":"TEXT é 😀 \u2028 \ufeff \x7f e\u0301"}'),
    "a key twice": Spelling('{"model":"a","model":"m","x":1,"x":{},"messages":[MESSAGES],"stream":STREAM,"x":[]}'),
    "numbers": Spelling(
        '{"temperature":1.0e+2,"top_p":1E-2,"seed":123456789012345678901234567890,"a":-0,"b":-0.0,"c":0.10000000000000001,'
        '"d":1e300,"messages":[MESSAGES],"stream":STREAM}'
    ),
    "nested deeply": Spelling('{"x":' + "[" * 200 + "]" * 200 + ',"messages":[MESSAGES],"stream":STREAM}'),
    "roles that are not known": Spelling(
        '{"messages":[{"role":"system","content":"x"},{"role":"wizard","content":"x"},MESSAGES],"stream":STREAM}'
    ),
    "parts": Spelling(
        PLAIN,
        '{"role":"user","content":[{"type":"text","text":"TEXT"},{"type":"hologram","content":[1]},{"type":"text"}]}',
        '{"role":"assistant","content":[{"type":"text","text":"It is nine. é/😀","x":1}]}',
    ),
    "no content": Spelling(
        '{"messages":[{"role":"user"},{"role":"user","content":null},MESSAGES],"stream":STREAM}',
    ),
    "tools": Spelling(
        '{"messages":[MESSAGES],"stream":STREAM,"tools":[{"name":"look","type":"function","function":{"name":"look",'
        '"parameters":{"properties":{"role":{},"content":{},"messages":{}}}},"input_schema":{"type":"object"}}]}'
    ),
    "quotes of itself": Spelling(
        PLAIN, r'{"role":"user","content":"TEXT {\"messages\":[{\"role\":\"user\"}]} data: [DONE]"}'
    ),
    "answers that came otherwise": Spelling(PLAIN, assistant='{"role":"assistant","content":"Ten."}', own=False),
    "a shape for the answer": Spelling(
        '{"response_format":{"type":"json_object"},"messages":[MESSAGES],"stream":STREAM}'
    ),
    "a tool that is forced": Spelling('{"tool_choice":{"type":"any"},"messages":[MESSAGES],"stream":STREAM}'),
}

ANSWERS = {
    ("openai", False): (
        '{"choices":[{"index":0,"message":{"role":"assistant","content":"It is nine. é/😀"},"finish_reason":"stop"}]}',
        '{"choices":[{"message":{"role":"assistant","content":null,"tool_calls":[{"id":"t1","type":"function",'
        '"function":{"name":"look","arguments":"{\\"a\\": 1}"}}]},"finish_reason":"tool_calls"}]}',
    ),
    ("openai", True): (
        'data: {"choices":[{"index":0,"delta":{"content":"It is nine. é/😀"},"finish_reason":null}]}\n\n'
        'data: {"choices":[{"index":0,"delta":{},"finish_reason":"stop"}]}\n\ndata: [DONE]\n\n',
        'data: {"choices":[{"delta":{"tool_calls":[{"index":0,"id":"t1","function":{"name":"look"}}]}}]}\n\n'
        'data: {"choices":[{"delta":{"tool_calls":[{"index":0,"function":{"arguments":"{}"}}]}}]}\n\n'
        'data: {"choices":[{"index":0,"delta":{},"finish_reason":"tool_calls"}]}\n\ndata: [DONE]\n\n',
    ),
    ("anthropic", False): (
        '{"content":[{"type":"text","text":"It is nine. é/😀"}],"stop_reason":"end_turn"}',
        '{"content":[{"type":"tool_use","id":"t1","name":"look","input":{"a":1}}],"stop_reason":"tool_use"}',
    ),
    ("anthropic", True): (
        'event: message_start\ndata: {"type":"message_start","message":{"content":[]}}\n\n'
        'event: content_block_start\ndata: {"type":"content_block_start","index":0,"content_block":{"type":"text",'
        '"text":""}}\n\nevent: content_block_delta\ndata: {"type":"content_block_delta","index":0,"delta":'
        '{"type":"text_delta","text":"It is nine. é/😀"}}\n\nevent: content_block_stop\ndata: '
        '{"type":"content_block_stop","index":0}\n\nevent: message_delta\ndata: {"type":"message_delta","delta":'
        '{"stop_reason":"end_turn"}}\n\nevent: message_stop\ndata: {"type":"message_stop"}\n\n',
        'event: content_block_start\ndata: {"type":"content_block_start","index":0,"content_block":{"type":"tool_use",'
        '"id":"t1","name":"look","input":{}}}\n\ndata: {"type":"content_block_stop","index":0}\n\n'
        'event: message_delta\ndata: {"type":"message_delta","delta":{"stop_reason":"tool_use"}}\n\n'
        'event: message_stop\ndata: {"type":"message_stop"}\n\n',
    ),
}


def talk(wire: str, spelling: Spelling) -> list[list[str]]:
    """The histories of seven requests."""
    one, two, three, other = map(spelling.said, ("What time is it?", "And now?", "Look it up.", "Or now?"))
    said, steps = spelling.assistant, WITH_TOOL[wire]
    looked = [one, said, two, said, three, *steps]
    edited = [one, said, other]
    return [[one], [one, said, two], looked[:5], looked, looked, edited, [*edited, said, three]]


# Answers.


def event(*lines: str, end: str = "\n") -> str:
    return end.join([*lines, "", ""])


def openai_chunk(text: str, finish: str = "null", more: str = "") -> str:
    return f'{{"choices":[{{"index":0,"delta":{{"content":"{text}"}},"finish_reason":{finish}}}]{more}}}'


HI, STOP = openai_chunk("It is nine."), openai_chunk("", '"stop"')
OPENAI_PLAIN = {
    "blanks": ' \r\n{ "choices" : [ { "message" : { "content" : "Nine." } , "finish_reason" : "stop" } ]\t}\r\n\n',
    "escapes": '{"\\u0063hoices":[{"message":{"content":"\\u0049t is nine. \\ud83d\\ude00 \\/ \\u00e9"}}]}',
    "a key twice": '{"id":"a","choices":[],"id":"b","choices":[{"message":{"content":"Nine."},"x":1,"x":2}],"x":1}',
    "numbers": '{"x":1.0e+9,"y":123456789012345678901234567890,"z":-0.0,"choices":[{"message":{"content":"A"}}]}',
    "several choices": '{"choices":[{"index":1,"message":{"content":"B"}},{"index":0,"message":{"content":"A"}}]}',
    "reasoning": '{"choices":[{"message":{"reasoning_content":"hm","reasoning":[],"content":"A"},"logprobs":null}]}',
    "a refusal in form": '{"choices":[{"message":{"content":null,"refusal":"No."},"finish_reason":"content_filter"}]}',
    "no reason": '{"choices":[{"message":{"content":"A"},"finish_reason":null}],"usage":null}',
    "a reason from the future": '{"choices":[{"message":{"content":"A"},"finish_reason":"daydream"}],"object":7}',
    "audio": '{"choices":[{"message":{"content":null,"audio":{"id":"a","data":"AAAA","transcript":"Nine."}}}]}',
    "the old call of a function": '{"choices":[{"message":{"function_call":{"name":"f","arguments":"{}"}}}]}',
    "a mark before it": "\ufeff" + '{"choices":[{"message":{"content":"A"}}]}',
    "no choice": '{"choices":[]}',
    "parts for text": '{"choices":[{"message":{"content":[{"type":"text","text":"A"}]}}]}',
    "an error with the status of an answer": '{"error":{"message":"It broke.","code":502},"choices":null}',
    "no object": "[1, 2]",
    "no JSON": "It is nine.",
    "nothing": "",
}
OPENAI_STREAMED = {
    "crlf": event(f"data: {HI}", end="\r\n") + event(f"data: {STOP}", end="\r\n") + event("data: [DONE]", end="\r\n"),
    "cr": event(f"data: {HI}", end="\r") + event(f"data: {STOP}", end="\r") + event("data: [DONE]", end="\r"),
    "every end of a line": f"data: {HI}\r\n\ndata: {STOP}\n\r\ndata: [DONE]\r\n\r\n",
    "comments": event(": hello") + event(f"data: {HI}", ": in it") + ":\n\n" + event(f"data: {STOP}") + ": bye\n\n",
    "other lines": event("event: message", "id: 7", f"data: {HI}", "retry: 10") + event("id", f"data:{STOP}", "x: y"),
    "data in lines": event('data: {"choices":', 'data: [{"index":0,"delta":', 'data: {"content":"A"}}]}')
    + event(f"data: {STOP}"),
    "no blank": event(f"data:{HI}") + event(f"data:{STOP}") + event("data:[DONE]"),
    "more blanks": event(f"data:   {HI}  ") + event(f"data: {STOP}\t") + event("data:  [DONE] "),
    "empty data": event("data:")
    + event("data")
    + event("data: ")
    + event(f"data: {HI}")
    + event(f"data: {STOP}")
    + "\n\n\n",
    "blank lines": "\n\n\r\n" + event(f"data: {HI}") + "\n\n" + event(f"data: {STOP}") + "\n\n" + event("data: [DONE]"),
    "a mark before it": "\ufeff" + event(f"data: {HI}") + event(f"data: {STOP}") + event("data: [DONE]"),
    "usage behind the end": event(f"data: {HI}")
    + event(f"data: {STOP}")
    + event('data: {"choices":[],"usage":{"prompt_tokens":1,"completion_tokens":2}}')
    + event("data: [DONE]"),
    "no choices": event('data: {"choices":null}')
    + event('data: {"x":1}')
    + event(f"data: {HI}")
    + event(f"data: {STOP}"),
    "several choices": "".join(
        event(f'data: {{"choices":[{{"index":{index},"delta":{{"content":"{index}"}},"finish_reason":{finish}}}]}}')
        for index, finish in ((0, "null"), (2, "null"), (1, '"stop"'), (0, '"stop"'), (2, "null"), (2, '"length"'))
    )
    + event("data: [DONE]"),
    "two choices in one": event(
        'data: {"choices":[{"index":0,"delta":{"content":"A"}},{"index":1,"delta":{},"finish_reason":"stop"}]}'
    )
    + event(f"data: {STOP}"),
    "reasoning": event('data: {"choices":[{"delta":{"reasoning_content":"hm","content":null}}]}')
    + event(f"data: {HI}")
    + event(f"data: {STOP}"),
    "words with the end": event(f"data: {openai_chunk('Nine.', chr(34) + 'stop' + chr(34))}") + event("data: [DONE]"),
    "an end twice": event(f"data: {HI}") + event(f"data: {STOP}") * 2 + event("data: [DONE]") * 2,
    "words behind the end": event(f"data: {STOP}") + event(f"data: {HI}") + event("data: [DONE]"),
    "escapes": event('data: {"choices":[{"delta":{"content":"\\u00e9\\/\\ud83d\\ude00\\u2028\u2028"}}]}')
    + event(f"data: {STOP}"),
    "numbers": event(f"data: {openai_chunk('A', more=',' + chr(34) + 'x' + chr(34) + ':1.0e+2')}")
    + event(f"data: {STOP}"),
    "an event of its own": event("event: thread.created", 'data: {"id":"x"}')
    + event(f"data: {HI}")
    + event(f"data: {STOP}"),
    "an error in it": event(f"data: {HI}") + event('data: {"error":{"message":"It broke."}}') + event("data: [DONE]"),
    "no JSON in it": event(f"data: {HI}") + event("data: {") + event("data: nonsense") + event(f"data: {STOP}"),
    "half a pair": event('data: {"choices":[{"delta":{"content":"\\ud83d"}}]}') + event(f"data: {STOP}"),
    "content twice": event('data: {"choices":[{"delta":{"content":"a","content":"b"}}]}') + event(f"data: {STOP}"),
    "no end": event(f"data: {HI}"),
    "half an event": event(f"data: {HI}") + f"data: {STOP}",
    "only the mark": event("data: [DONE]"),
    "no stream": '{"choices":[{"message":{"content":"A"}}]}',
    "nothing": "",
}


def claude(kind: str, fields: str = "", *, end: str = "\n", name: bool = True) -> str:
    data = f'data: {{"type":"{kind}"{fields}}}'
    return event(*([f"event: {kind}"] if name else []), data, end=end)


def claude_stream(*middle: str, end: str = "\n", name: bool = True, stop: str = '"end_turn"') -> str:
    """A stream with this between its beginning and its end."""
    return "".join(
        (
            claude(
                "message_start", ',"message":{"id":"m","content":[],"usage":{"input_tokens":1}}', end=end, name=name
            ),
            claude("content_block_start", ',"index":0,"content_block":{"type":"text","text":""}', end=end, name=name),
            claude(
                "content_block_delta", ',"index":0,"delta":{"type":"text_delta","text":"Nine."}', end=end, name=name
            ),
            *middle,
            claude("content_block_stop", ',"index":0', end=end, name=name),
            claude("message_delta", f',"delta":{{"stop_reason":{stop}}},"usage":{{"x":1}}', end=end, name=name),
            claude("message_stop", end=end, name=name),
        )
    )


ANTHROPIC_PLAIN = {
    "blanks": ' \r\n{ "content" : [ { "text" : "Nine." , "type" : "text" } ] ,\t"stop_reason" : "end_turn" }\r\n\n',
    "escapes": '{"\\u0063ontent":[{"type":"te\\u0078t","text":"\\ud83d\\ude00 \\/ \\u00e9"}],"stop_reason":"end_turn"}',
    "a key twice": '{"id":1,"id":2,"content":[{"type":"text","text":"Nine.","x":1,"x":2}],"stop_reason":"end_turn"}',
    "numbers": '{"x":1.0e+2,"y":123456789012345678901234567890,"content":[{"type":"text","text":"A"}],"usage":{}}',
    "thinking": '{"content":[{"type":"thinking","thinking":"hm","signature":"c2ln=="},{"type":"text","text":"A"}]}',
    "hidden thinking": '{"content":[{"type":"redacted_thinking","data":"x"},{"type":"text","text":"A"}]}',
    "blocks from the future": '{"content":[{"type":"dream","text":7},{"type":"text","text":"A","citations":[{}]},{}]}',
    "a tool of the vendor's": '{"content":[{"type":"server_tool_use","id":"s","name":"web_search","input":{"q":1}}]}',
    "no content": '{"content":[],"stop_reason":"end_turn"}',
    "a refusal": '{"content":[],"stop_reason":"refusal","stop_details":{"category":"x"}}',
    "a pause": '{"content":[{"type":"text","text":"A"}],"stop_reason":"pause_turn"}',
    "a reason from the future": '{"content":[{"type":"text","text":"A"}],"stop_reason":"daydream","container":null}',
    "no text in a text": '{"content":[{"type":"text"}]}',
    "text for blocks": '{"content":"Nine."}',
    "a mark before it": "\ufeff" + '{"content":[]}',
    "an error with the status of an answer": '{"type":"error","error":{"type":"api_error","message":"It broke."}}',
    "no object": "null",
    "no JSON": "<html>",
    "nothing": "",
}
ANTHROPIC_STREAMED = {
    "crlf": claude_stream(end="\r\n"),
    "cr": claude_stream(end="\r"),
    "no names": claude_stream(name=False),
    "comments and blank lines": claude_stream(
        ": hello\n\n", "\n\n\r\n", "event: x\n\n", "data:\n\n", "id: 9\nretry: 1\n\n"
    ),
    "pings": claude_stream(claude("ping"), claude("ping", name=False)),
    "events from the future": claude_stream(
        claude("dream", ',"index":"?"'), claude("adjourn", ',"x":1'), 'data: {"a":1}\n\n'
    ),
    "deltas from the future": claude_stream(
        claude("content_block_delta", ',"index":0,"delta":{"type":"dream_delta","text":7}'),
        claude("content_block_delta", ',"index":0,"delta":{"type":"citations_delta","citation":{}}'),
        claude("content_block_delta", ',"index":0,"delta":{}'),
    ),
    "thinking": claude_stream(
        claude("content_block_stop", ',"index":0'),
        claude("content_block_start", ',"index":1,"content_block":{"type":"thinking","thinking":"","signature":""}'),
        claude("content_block_delta", ',"index":1,"delta":{"type":"thinking_delta","thinking":"hm"}'),
        claude("content_block_delta", ',"index":1,"delta":{"type":"signature_delta","signature":"c2ln"}'),
    ),
    "data in lines": claude_stream('event: ping\ndata: {"type":\ndata: "ping"}\n\n'),
    "escapes and numbers": claude_stream(
        'data: {"type":"content_block_delta","index":0,"x":1.0e+2,"delta":'
        '{"type":"text_delta","text":"\\u00e9\\/\\ud83d\\ude00\u2028"}}\n\n'
    ),
    "an end in two steps": claude_stream(claude("message_delta", ',"delta":{"stop_reason":null},"usage":{}')),
    "a refusal": claude_stream(stop='"refusal"'),
    "a pause": claude_stream(stop='"pause_turn"'),
    "a reason from the future": claude_stream(stop='"daydream"'),
    "no reason": claude_stream(stop="null"),
    "an end twice": claude_stream() + claude("message_stop") + claude("ping"),
    "an error in it": claude_stream(claude("error", ',"error":{"type":"overloaded_error","message":"It is busy."}')),
    "no JSON in it": claude_stream("data: {\n\n", "event: content_block_delta\ndata: nonsense\n\n"),
    "half a pair": claude_stream(
        claude("content_block_delta", ',"index":0,"delta":{"type":"text_delta","text":"\\ud83d"}')
    ),
    "wrong types": claude_stream(
        claude("content_block_start", ',"index":"0","content_block":7'), 'data: {"type":[]}\n\n'
    ),
    "a mark before it": "\ufeff" + claude_stream(),
    "no end": claude_stream()[:-60],
    "only the end": claude("message_stop"),
    "no stream": '{"content":[]}',
    "nothing": "",
}

ANSWERED: Mapping[tuple[str, bool], Mapping[str, str]] = {
    ("openai", False): OPENAI_PLAIN,
    ("openai", True): OPENAI_STREAMED,
    ("anthropic", False): ANTHROPIC_PLAIN,
    ("anthropic", True): ANTHROPIC_STREAMED,
}
"""The answers by their wire, and by whether they are streamed."""
