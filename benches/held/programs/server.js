require("http").createServer((_, answer) => answer.end("ok\n")).listen(+process.env.PORT, "127.0.0.1");
