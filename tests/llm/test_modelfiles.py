"""Modelfiles: the Go template writes what the chat template writes, for the styles that there are."""

import json

import pytest

from scripts.common.errors import StudyError
from scripts.common.job import Job
from scripts.llm import chats, modelfiles, tokenizers, torture_texts, write_modelfile
from tests.llm import models

BEGIN = "<|begin|>"
LLAMA = (
    "{% for m in messages %}{% set text = '<|start|>' + m.role + '<|stop|>\\n\\n' + m.content | trim + '<|im_end|>' %}"
    "{% if loop.first %}{{ bos_token }}{% endif %}{{ text }}{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|start|>assistant<|stop|>\\n\\n' }}{% endif %}"
)
# DeepSeek's distillates: a bare system message, no end of a question, a thought that is opened in the prompt and left
# out of former answers
DEEPSEEK = (
    "{{ bos_token }}{% for m in messages %}{% if m.role == 'system' %}{{ m.content }}"
    "{% elif m.role == 'user' %}{{ '<|User|>' + m.content }}"
    "{% else %}{{ '<|Assistant|>' + m.content.split('</think>')[-1] + '<|im_end|>' }}{% endif %}{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|Assistant|><think>\\n' }}{% endif %}"
)
# Qwen2.5: a system message of its own where there is none
QWEN = (
    "{% if messages[0].role != 'system' %}{{ '<|im_start|>system\\nYou are {{Q}}.<|im_end|>\\n' }}{% endif %}"
    + tokenizers.TEMPLATE
)
DATED = "{{ '<|im_start|>system\\nToday: ' + date_string | default('now') + '<|im_end|>\\n' }}" + tokenizers.TEMPLATE
NO_SYSTEM = "{% if messages[0].role == 'system' %}{{ raise_exception('no system') }}{% endif %}" + tokenizers.TEMPLATE
STYLES = {"chatml": tokenizers.TEMPLATE, "qwen": QWEN, "dated": DATED, "none": NO_SYSTEM}
WITH_BEGIN = {"llama": LLAMA, "deepseek": DEEPSEEK}


@pytest.fixture(scope="module")
def plain():
    return tokenizers.train(models.texts(), 320)


def in_style(plain, template, begin=False):
    """The tokenizer with another chat template; ``begin``: it starts every text with a token of its own."""
    from tokenizers import processors
    from transformers import PreTrainedTokenizerFast

    backend = plain.backend_tokenizer.from_str(plain.backend_tokenizer.to_str())
    settings = {}
    if begin:
        backend.add_special_tokens([BEGIN])
        special = [(BEGIN, backend.token_to_id(BEGIN))]
        backend.post_processor = processors.TemplateProcessing(single=f"{BEGIN} $A", special_tokens=special)
        settings["bos_token"] = BEGIN
    return PreTrainedTokenizerFast(
        tokenizer_object=backend, eos_token=tokenizers.CLOSE, chat_template=template, **settings
    )


@pytest.mark.parametrize("style", [*STYLES, *WITH_BEGIN])
def test_the_go_template_writes_every_conversation_as_the_chat_template_does(plain, style):
    tokenizer = in_style(plain, (STYLES | WITH_BEGIN)[style], style in WITH_BEGIN)
    begin = BEGIN if style in WITH_BEGIN else ""
    template = modelfiles.go_template(modelfiles.take_apart(tokenizer, begin))
    compared = 0
    for name, messages in torture_texts.conversations().items():
        if style == "none" and "system" in name:
            continue
        messages = [each | {"content": each["content"].strip()} for each in messages]
        wanted = tokenizer.apply_chat_template(
            messages, tokenize=False, add_generation_prompt=True, date_string=modelfiles.DATE
        )
        # llama.cpp adds the begin token
        assert modelfiles.render(template, messages) == wanted.removeprefix(BEGIN)
        compared += 1
    assert compared == (2 if style == "none" else 4)
    assert "now" not in template


def test_a_conversation_in_chatml_is_written_by_a_template_that_can_be_read(plain):
    template = modelfiles.go_template(modelfiles.take_apart(plain))
    assert "{{ range $i, $_ := .Messages }}" in template and template.endswith("<|im_start|>assistant\n")
    assert '{{ else if eq .Role "user" }}<|im_start|>user\n{{ .Content }}<|im_end|>\n{{ else' in template


def test_a_template_that_is_not_the_tokenizers_is_refused(plain):
    good = modelfiles.go_template(modelfiles.take_apart(plain))
    modelfiles.check(plain, good)
    for wrong in (good.replace("<|im_end|>", "", 1), good.removesuffix("\n"), good + " "):
        with pytest.raises(StudyError, match="for Ollama"):
            modelfiles.check(plain, wrong)


@pytest.mark.parametrize(
    "template",
    [
        # a question's text depends on its number; the answers are left out; the last question is repeated
        "{% for m in messages %}{{ loop.index }}{{ '<|im_start|>' + m.content + '<|im_end|>' }}{% endfor %}",
        "{% for m in messages %}{% if m.role == 'user' %}{{ m.content + '<|im_end|>' }}{% endif %}{% endfor %}",
        tokenizers.TEMPLATE + "{{ messages[-1].content }}",
    ],
)
def test_a_chat_template_of_another_kind_is_refused_with_what_to_do(plain, template):
    with pytest.raises(StudyError, match=r"one after another|chat_template\.jinja"):
        modelfiles.write(in_style(plain, template), "x.gguf")


def test_a_system_prompt_needs_a_template_that_knows_one(plain):
    with pytest.raises(StudyError, match="knows no system message"):
        modelfiles.write(in_style(plain, NO_SYSTEM), "x.gguf", system="Be brief.")


def test_quotes_and_lines_of_a_system_prompt_are_kept_and_triple_quotes_refused(plain):
    text = 'Say "BUY" or "SELL".\nNever \\ both.'
    assert f'SYSTEM """{text}"""\n' in modelfiles.write(plain, "x.gguf", system=text)
    for bad in ('a """ b', 'ends in a "quote"'):
        with pytest.raises(StudyError, match="other quotes"):
            modelfiles.write(plain, "x.gguf", system=bad)


def test_the_renderer_follows_go():
    def written(template, *roles):
        return modelfiles.render(template, [{"role": role, "content": role[0]} for role in roles])

    assert written('a {{- "b" -}} \n c {{ "{{" }}') == "abc {{"
    assert written('{{ range .Messages }}{{ if eq .Role "x" }}1{{ else }}2{{ end }}{{ end }}3', "x", "y") == "123"
    assert written("{{ range $n, $_ := .Messages }}{{ if or (eq $n 1) (not (eq $n 2)) }}{{ end }}{{ end }}") == ""
    assert (
        written('{{range $i, $_ := .Messages}}{{if and (eq $i 0) (ne .Role "x")}}D{{end}}{{.Content}}{{end}}', "y", "y")
        == "Dyy"
    )
    for bad in ("{{ .System }}", "{{ if eq 1 1 }}", "{{ end }}", "{{ range .Tools }}{{ end }}", "{{ len 3 }}"):
        with pytest.raises(StudyError, match="Go template"):
            written(bad, "x")


def test_the_rule_writes_a_modelfile_beside_the_file(tmp_path):
    folder, index = models.make_base(tmp_path / "base")
    params = {"gguf": "r-Q8_0.gguf", "settings": {"system": "Be brief.", "temperature": 0.25, "num_ctx": None}}
    job = Job({"model": str(folder), "index": str(index)}, [str(tmp_path / "r.Modelfile")], params)
    write_modelfile.main(job)
    lines = (tmp_path / "r.Modelfile").read_text().splitlines()
    assert lines[0] == "FROM ./r-Q8_0.gguf"
    assert [line for line in lines if line.startswith(("PARAMETER", "SYSTEM"))] == [
        'PARAMETER stop "<|im_end|>"',
        "PARAMETER temperature 0.25",
        "PARAMETER num_ctx 512",
        'SYSTEM """Be brief."""',
    ]
    template = (tmp_path / "r.Modelfile").read_text().split('"""')[1]
    modelfiles.check(chats.load_tokenizer(folder), template)


def test_a_tokenizer_that_ends_texts_otherwise_stops_at_both_tokens(plain):
    tokenizer = in_style(plain, tokenizers.TEMPLATE)
    tokenizer.eos_token = tokenizers.END
    assert modelfiles.stops(tokenizer) == ["<|im_end|>", "<|endoftext|>"]


def test_a_begin_token_is_left_to_llama_cpp_only_if_the_file_will_say_so(plain, tmp_path):
    tokenizer = in_style(plain, LLAMA, begin=True)
    path = tmp_path / "tokenizer_config.json"
    for flag, left in (({}, BEGIN), ({"add_bos_token": True}, BEGIN), ({"add_bos_token": False}, "")):
        path.write_text(json.dumps(flag))
        begin = modelfiles.begin_token(tmp_path, tokenizer)
        assert begin == left
        assert (BEGIN in modelfiles.write(tokenizer, "x.gguf", begin=begin)) == (not left)
    path.write_text("{}")
    assert modelfiles.begin_token(tmp_path, plain) == ""
